"""The findings of `flask doctor` about a MySQL server's replication group: docs/high-availability.md."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from core.ops.finding import Finding, State, judge

ONLINE = "ONLINE"
_TAKES_PART = (ONLINE, "RECOVERING")
# With fewer, the loss of one member leaves no majority.
ENOUGH_MEMBERS = 3
_WAITS_FOR_BACKLOG = ("BEFORE_ON_PRIMARY_FAILOVER", "BEFORE", "AFTER", "BEFORE_AND_AFTER")


@dataclass(frozen=True)
class Member:
    """A member as the connected server sees it; `ours` says that it is that server."""

    host: str
    state: str
    role: str
    ours: bool


def examine(connection: Connection) -> Iterator[Finding]:
    """The findings about the server's group; none if it belongs to none. Raises DBAPIError."""
    rows = connection.execute(text("SHOW GLOBAL VARIABLES LIKE 'group\\_replication\\_%'")).all()
    values = {str(row[0]).removeprefix("group_replication_"): str(row[1]).upper() for row in rows}
    if not values.get("group_name"):
        return
    try:
        members = _members(connection)
    except DBAPIError as error:
        if getattr(error.orig, "errno", None) != 1142:
            raise
        yield Finding(
            "group",
            State.WARNING,
            "its members cannot be read",
            "GRANT SELECT ON performance_schema.replication_group_members to the user of the service",
        )
    else:
        yield judge_members(members)
    yield from judge_settings(values)


def _members(connection: Connection) -> list[Member]:
    query = text(
        "SELECT CONCAT(MEMBER_HOST, ':', MEMBER_PORT), MEMBER_STATE, MEMBER_ROLE, MEMBER_ID = @@server_uuid"
        " FROM performance_schema.replication_group_members ORDER BY MEMBER_HOST, MEMBER_PORT"
    )
    return [Member(host, state, role, bool(ours)) for host, state, role, ours in connection.execute(query)]


def judge_members(members: Sequence[Member]) -> Finding:
    """The member that takes writes, and whether the group can lose a member."""
    ours = next((member for member in members if member.ours), Member("this server", "OFFLINE", "", True))
    there = sum(member.state in _TAKES_PART for member in members)
    online = sum(member.state == ONLINE for member in members)
    found = f"{ours.host} is {ours.role or 'no member'}, {ours.state}; {online} of {len(members)} members are ONLINE"
    if ours.state != ONLINE or there * 2 <= len(members):
        mend = "start the members that are missing; a server outside the majority can store no order"
        return Finding("group", State.PROBLEM, found, mend)
    if ours.role != "PRIMARY":
        return Finding("group", State.PROBLEM, found, "point the URL at an address that follows the primary")
    if online < max(ENOUGH_MEMBERS, len(members)):
        mend = f"have at least {ENOUGH_MEMBERS} members, all of them ONLINE: the next failure may stop the sale"
        return Finding("group", State.WARNING, found, mend)
    return Finding("group", State.OK, found)


def judge_settings(values: Mapping[str, str]) -> Iterator[Finding]:
    """`values` has the variables of the group by name, without their prefix, in upper case."""
    single = values.get("single_primary_mode", "ON")
    yield judge(
        "group writers",
        single == "ON",
        "a single primary" if single == "ON" else "every member takes writes",
        "use a single primary, or send all writes to one member: the losers of conflicts are run again, and slower",
        State.WARNING,
    )
    consistency = values.get("consistency", "EVENTUAL")
    yield judge(
        "group consistency",
        consistency in _WAITS_FOR_BACKLOG,
        consistency,
        "SET PERSIST group_replication_consistency = 'BEFORE_ON_PRIMARY_FAILOVER': else a new primary denies orders"
        " that it has not applied yet",
        State.PROBLEM,
    )
    expel = values.get("member_expel_timeout", "5")
    yield judge(
        "group expel timeout",
        expel == "0",
        f"{expel} s",
        "SET PERSIST group_replication_member_expel_timeout = 0: a dead primary stops the sale for that much longer",
        State.WARNING,
    )
