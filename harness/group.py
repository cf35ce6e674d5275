"""Three real MySQL servers in one replication group, and what tests do to them: kill, freeze, rejoin, switch.

Each member is a `MySQL` (harness/mysql.py) with the settings that docs/high-availability.md advises.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mysql.connector
from mysql.connector.errorcode import ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE
from mysql.connector.errors import ProgrammingError

from config import ROOT
from harness.database_server import CONNECT_SECONDS, free_port
from harness.mysql import MySQL

# The check that the tests' proxy and the example for HAProxy make: one row with a 1 where writes may go.
IS_PRIMARY = (ROOT / "deploy" / "is_primary.sql").read_text()
JOIN_SECONDS = 90
# Who looks at the members again and again does not wait long for one that is frozen.
_LOOK_SECONDS = 5
# Refused to join, since the group still has this member's former self, or is changing its view.
_NOT_YET = (3092, 3094, 3096, 3097)


class Member(MySQL):
    """One server of a group."""

    def __init__(self, directory: Path, number: int, options: Sequence[str] = ()) -> None:
        self.number = number
        self.group_port = free_port()
        # The others' ports are not known yet: `Group` adds them.
        super().__init__(directory, options)
        self._command += [
            f"--server-id={number}",
            "--gtid-mode=ON",
            "--enforce-gtid-consistency=ON",
            "--report-host=127.0.0.1",
            "--plugin-load-add=group_replication.so",
            "--loose-group-replication-start-on-boot=OFF",
            f"--loose-group-replication-local-address=127.0.0.1:{self.group_port}",
            "--loose-group-replication-recovery-get-public-key=ON",
        ]

    def add_options(self, *options: str) -> None:
        """Options for the next start."""
        self._command += options

    def execute(self, statement: str, database: str | None = None, seconds: int = CONNECT_SECONDS) -> list[Any]:
        """The rows of one statement, on a connection that it waits for no longer than so many seconds."""
        connection = self.connect(database, seconds)
        try:
            cursor = connection.cursor()
            cursor.execute(statement)
            return cursor.fetchall() if cursor.with_rows else []
        finally:
            connection.close()

    def _look(self, statement: str) -> list[Any] | None:
        """The rows of one statement; None where the server does not answer soon."""
        try:
            return self.execute(statement, seconds=_LOOK_SECONDS)
        except (mysql.connector.Error, OSError):
            return None

    def is_primary(self) -> bool:
        """Whether this member reports itself as the primary; False where it does not answer."""
        return self._look(IS_PRIMARY) == [(1,)]

    def state(self) -> str:
        """`ONLINE`, `RECOVERING`, `ERROR` …, or `gone` where the server does not answer."""
        rows = self._look(
            "SELECT MEMBER_STATE FROM performance_schema.replication_group_members WHERE MEMBER_ID = @@server_uuid"
        )
        if rows is None:
            return "gone"
        return rows[0][0] if rows else "OFFLINE"

    def sees(self) -> dict[str, str]:
        """The state of every member by its id, as this one sees them; empty where it does not answer."""
        return dict(
            self._look("SELECT MEMBER_ID, MEMBER_STATE FROM performance_schema.replication_group_members") or []
        )

    def start_replication(self, stop: bool) -> None:
        try:
            if stop:
                self.execute("STOP GROUP_REPLICATION")
            self.execute("START GROUP_REPLICATION")
        except mysql.connector.Error as error:
            if error.errno not in (*_NOT_YET, 2013, 3095):
                raise

    def last_errors(self) -> str:
        return (self.directory / "error.log").read_text(errors="replace")[-2000:]


class Group:
    """Members 1 to `count`; the first is the primary at the start. With `single_primary` off all of them write."""

    def __init__(
        self, directory: Path, count: int = 3, single_primary: bool = True, options: Sequence[str] = ()
    ) -> None:
        self.members = [Member(directory / f"member-{number}", number, options) for number in range(1, count + 1)]
        seeds = ",".join(f"127.0.0.1:{member.group_port}" for member in self.members)
        name = str(uuid.uuid4())
        for member in self.members:
            member.add_options(
                f"--loose-group-replication-group-name={name}",
                f"--loose-group-replication-group-seeds={seeds}",
                f"--loose-group-replication-single-primary-mode={'ON' if single_primary else 'OFF'}",
                f"--loose-group-replication-enforce-update-everywhere-checks={'OFF' if single_primary else 'ON'}",
            )

    def start(self) -> None:
        """Start all members, and wait until they are a group."""
        for member in self.members:
            member.start()
            member.execute("CHANGE REPLICATION SOURCE TO SOURCE_USER = 'root' FOR CHANNEL 'group_replication_recovery'")
            if member is self.members[0]:
                member.execute("SET GLOBAL group_replication_bootstrap_group = ON")
                member.execute("START GROUP_REPLICATION")
                member.execute("SET GLOBAL group_replication_bootstrap_group = OFF")
            self.join(member, self.members[: member.number - 1])

    def join(self, member: Member, others: Sequence[Member] | None = None, seconds: float = JOIN_SECONDS) -> None:
        """Let a member join the group, or join it again, and wait until it and all `others` see one another ONLINE.

        One that was frozen takes itself for ONLINE until it learns that it was expelled: the others' view counts.
        """
        wanted = self.members if others is None else [*others, member]
        deadline = time.monotonic() + seconds
        restarted_at = float("-inf")
        while any(list(each.sees().values()) != ["ONLINE"] * len(wanted) for each in wanted):
            state = member.state()
            assert time.monotonic() < deadline, f"member {member.number} is {state}: {member.last_errors()}"
            # One that was expelled rejoins by itself; one that was started anew, or gave up, has to be started.
            if state in ("OFFLINE", "ERROR") and time.monotonic() - restarted_at > 3:
                restarted_at = time.monotonic()
                member.start_replication(stop=state == "ERROR")
            time.sleep(0.1)

    def stop(self) -> None:
        for member in self.members:
            member.stop()

    def primary(self, seconds: float = 60, among: Callable[[Member], bool] = lambda member: True) -> Member:
        """Wait for a member that takes writes, for which `among` holds, and return it."""
        deadline = time.monotonic() + seconds
        while True:
            for member in filter(among, self.members):
                if member.is_primary():
                    return member
            assert time.monotonic() < deadline, f"no primary: {[member.state() for member in self.members]}"
            time.sleep(0.05)

    def switch_to(self, member: Member) -> None:
        """A planned switch of the primary."""
        (uuid_of_it,) = member.execute("SELECT @@server_uuid")[0]
        self.primary().execute(f"SELECT group_replication_set_as_primary('{uuid_of_it}')")

    def wait_until_equal(self, statement: str, database: str, seconds: float = 60) -> list[Any]:
        """Wait until all members answer `statement` alike; returns the answer.

        Where the members need not be consistent, one may not even have the database or the table yet.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                answers = [member.execute(statement, database) for member in self.members]
            except ProgrammingError as error:
                if error.errno not in (ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE):
                    raise
            else:
                if all(answer == answers[0] for answer in answers):
                    return answers[0]
            assert time.monotonic() < deadline, "the members do not have the same rows"
            time.sleep(0.2)
