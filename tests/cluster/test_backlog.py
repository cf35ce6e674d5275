"""A new primary answers when it has applied all that the old one had committed, and by what setting."""

from collections.abc import Iterator
from typing import Any

import mysql.connector
import pytest
from mysql.connector.errors import ReadTimeoutError

from harness.group import Group, Member
from tests.races.inside import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

# Longer than it takes to answer, and no wait for anything.
SECONDS = 5


def query_with_time_out(member: Member, statement: str) -> list[Any] | None:
    """The rows, or None where the member takes the statement and does not answer."""
    connection = mysql.connector.connect(
        host="127.0.0.1", port=member.port, user="root", use_pure=True, ssl_disabled=True, read_timeout=SECONDS
    )
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
        return cursor.fetchall()
    except ReadTimeoutError:
        return None


def has_primary_role(member: Member) -> bool:
    return member.execute(
        "SELECT MEMBER_ROLE FROM performance_schema.replication_group_members WHERE MEMBER_ID = @@server_uuid"
    ) == [("PRIMARY",)]


def answer_of_a_new_primary_that_is_behind(group: Group, consistency: str, database: str) -> list[Any] | None:
    """Commit a row on a primary, kill it while the others cannot apply the row yet, and ask the new primary for it."""
    for member in group.members:
        member.execute(f"SET GLOBAL group_replication_consistency = {consistency}")
    old = group.primary()
    old.create_database(database)
    old.execute("CREATE TABLE sold (id INT PRIMARY KEY)", database)
    group.wait_until_equal("SELECT COUNT(*) FROM sold", database)
    others = [member for member in group.members if member is not old]
    held_up = [member.connect(database) for member in others]
    for connection in held_up:
        connection.cursor().execute("LOCK TABLES sold READ")  # reads go on, the applier has to wait
    old.execute("INSERT INTO sold VALUES (1)", database)
    old.kill()
    try:
        new = until(lambda: next(filter(has_primary_role, others), None), 60)
        assert not new.is_primary()  # it is read-only until it has caught up: a proxy that asks waits for that
        return query_with_time_out(new, f"SELECT id FROM {database}.sold")
    finally:
        for connection in held_up:
            connection.close()
        old.start()
        group.join(old)
        assert group.wait_until_equal("SELECT id FROM sold", database) == [(1,)]


@pytest.fixture
def any_consistency(group: Group) -> Iterator[None]:
    """Puts the default back at the end."""
    yield
    for member in group.members:
        member.execute("SET GLOBAL group_replication_consistency = DEFAULT")


def test_a_new_primary_does_not_deny_what_was_committed(group: Group) -> None:
    answer = answer_of_a_new_primary_that_is_behind(group, "DEFAULT", "waits")
    assert answer is None


def test_with_eventual_consistency_it_does(group: Group, any_consistency: None) -> None:
    assert answer_of_a_new_primary_that_is_behind(group, "EVENTUAL", "denies") == []
