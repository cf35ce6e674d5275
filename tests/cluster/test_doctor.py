"""`flask doctor` on the members of a real group."""

from collections.abc import Callable

import pytest
from flask import Flask

from core.ops import doctor
from core.ops.finding import Finding, State
from harness.group import Group, Member

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def findings(make_app: Callable[..., Flask], member: Member) -> dict[str, Finding]:
    """What the doctor finds through this member."""
    services = make_app(f"mysql+mysqlconnector://root@127.0.0.1:{member.port}/doctor").extensions["seckill"]
    return {finding.name: finding for finding in doctor.examine(services.database, services.settings)}


def test_it_tells_the_primary_from_a_secondary(group: Group, make_app: Callable[..., Flask]) -> None:
    primary = group.primary()
    primary.create_database("doctor")
    found = findings(make_app, primary)
    assert {found[name].state for name in found if name.startswith("group")} == {State.OK}
    assert found["group"].found == f"127.0.0.1:{primary.port} is PRIMARY, ONLINE; 3 of 3 members are ONLINE"
    group.wait_until_equal("SELECT version_num FROM alembic_version", "doctor")
    secondary = next(member for member in group.members if member is not primary)
    assert findings(make_app, secondary)["group"].state is State.PROBLEM


def test_it_says_what_a_user_may_not_read(group: Group, make_app: Callable[..., Flask]) -> None:
    primary = group.primary()
    primary.create_database("plain")
    primary.execute("CREATE USER plain IDENTIFIED BY 'plain'")
    primary.execute("GRANT ALL ON plain.* TO plain")
    services = make_app(f"mysql+mysqlconnector://plain:plain@127.0.0.1:{primary.port}/plain").extensions["seckill"]
    found = {finding.name: finding for finding in doctor.examine(services.database, services.settings)}
    assert found["group"].state is State.WARNING
    assert "GRANT SELECT" in found["group"].mend
    assert found["group consistency"].state is State.OK
