"""Settings of a MySQL or MariaDB server under which the service cannot work, checked before the set-up."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Obstacle:
    """A setting that prevents the service from working: `found` says which and why, `mend` what to do."""

    name: str
    found: str
    mend: str

    def __str__(self) -> str:
        return f"{self.found}; {self.mend}"


def values(connection: Connection, names: tuple[str, ...]) -> dict[str, str]:
    """The session's variables of these names, in upper case, without those that the server does not have."""
    wanted = ", ".join(f"'{name}'" for name in names)
    rows = connection.execute(text(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({wanted})")).all()
    return {str(row[0]).lower(): str(row[1]).upper() for row in rows}


LOOKED_AT = ("binlog_format", "log_bin", "check_constraint_checks", "unique_checks", "sql_safe_updates")


def obstacles(found: dict[str, str]) -> Iterator[Obstacle]:
    """The settings among `found` (the LOOKED_AT of `values`) that prevent the service from working."""
    if found.get("log_bin") in ("ON", "1") and found.get("binlog_format") == "STATEMENT":
        yield Obstacle(
            "binlog_format",
            "binlog_format=STATEMENT: the server then refuses changes of rows under READ COMMITTED (1665)",
            "SET GLOBAL binlog_format = 'ROW', and in the server's file",
        )
    for name, wanted, effect in (
        ("check_constraint_checks", "ON", "no CHECK holds, so stock could be negative"),
        ("unique_checks", "ON", "a key could be there twice"),
        ("sql_safe_updates", "OFF", "changes of many rows are refused (1175)"),
    ):
        value = found.get(name, wanted)
        if value not in (wanted, {"ON": "1", "OFF": "0"}[wanted]):
            yield Obstacle(name, f"{name}={value}: {effect}", f"SET GLOBAL {name} = {wanted}, and in the server's file")
