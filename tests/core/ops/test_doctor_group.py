"""What `flask doctor` says of a group of MySQL servers, by what the server tells of it."""

import pytest

from core.ops.doctor_group import Member, judge_members, judge_settings
from core.ops.finding import State


def members(*states: str, ours: int = 0, role: str = "PRIMARY") -> list[Member]:
    return [
        Member(f"db{place}:3306", state, role if place == ours else "SECONDARY", place == ours)
        for place, state in enumerate(states)
    ]


@pytest.mark.parametrize(
    ("group", "state", "mend"),
    [
        (members("ONLINE", "ONLINE", "ONLINE"), State.OK, ""),
        (members("ONLINE", "ONLINE", "RECOVERING"), State.WARNING, "next failure"),
        (members("ONLINE", "ONLINE", "UNREACHABLE"), State.WARNING, "next failure"),
        (members("ONLINE", "ONLINE"), State.WARNING, "at least 3"),
        (members("ONLINE", "UNREACHABLE", "UNREACHABLE"), State.PROBLEM, "majority"),
        (members("ONLINE", "UNREACHABLE"), State.PROBLEM, "majority"),
        (members("ERROR", "ONLINE", "ONLINE"), State.PROBLEM, "missing"),
        (members("ONLINE", "ONLINE", "ONLINE", role="SECONDARY"), State.PROBLEM, "follows the primary"),
        ([], State.PROBLEM, "missing"),
        ([Member(":3306", "OFFLINE", "", True)], State.PROBLEM, "missing"),
    ],
)
def test_the_members_of_a_group_are_judged(group: list[Member], state: State, mend: str) -> None:
    finding = judge_members(group)
    assert finding.state is state
    assert mend in finding.mend


@pytest.mark.parametrize(
    ("values", "name", "state"),
    [
        ({}, "group writers", State.OK),
        ({"single_primary_mode": "OFF"}, "group writers", State.WARNING),
        ({"consistency": "BEFORE_ON_PRIMARY_FAILOVER"}, "group consistency", State.OK),
        ({"consistency": "BEFORE_AND_AFTER"}, "group consistency", State.OK),
        ({"consistency": "EVENTUAL"}, "group consistency", State.PROBLEM),
        ({}, "group consistency", State.PROBLEM),
        ({"member_expel_timeout": "0"}, "group expel timeout", State.OK),
        ({"member_expel_timeout": "5"}, "group expel timeout", State.WARNING),
    ],
)
def test_the_settings_of_a_group_are_judged(values: dict[str, str], name: str, state: State) -> None:
    found = {finding.name: finding for finding in judge_settings(values)}
    assert found[name].state is state
    assert bool(found[name].mend) is (state is not State.OK)
