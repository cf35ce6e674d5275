"""`flask person find|export|erase`: a person's data, for requests that the law gives them a right to."""

import sys
from dataclasses import asdict
from typing import Any

import click

from cli.terminal import as_json_option, errors_in_one_line, fail, on_database, print_json, print_table, user_id
from core.db.shares import Share
from resources.http.context import services

# Some of it remains: the person has unpaid orders.
EXIT_LEFT = 3


user_option = click.option("--user", required=True, callback=user_id, help="The user's id.")


@click.group("person")
def person() -> None:
    """Find, export and erase what is stored about a person (docs/runbooks/personal-data.md)."""


@person.command("find")
@user_option
@as_json_option
@on_database()
def find(user: str, as_json: bool) -> None:
    """Say how many rows of each kind a user has."""
    from core.people import records

    with errors_in_one_line():
        found = asdict(records.count(services().database.of(Share.READS), user))
    _print("Stored", found, as_json)


@person.command("export")
@user_option
@on_database()
def export(user: str) -> None:
    """Print all that is stored about a user: JSON, a record a line."""
    from core.people import records

    with errors_in_one_line():
        for record in records.export(services().database.of(Share.READS), user):
            print_json(record)


@person.command("erase")
@user_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
@on_database()
def erase(user: str, yes: bool, as_json: bool) -> None:
    """Erase a user, for ever. Orders stay, without address and under a name that leads to nobody.

    Beside a running sale, in small pieces; doing so twice is the same as once. Unpaid orders are left and counted, with
    exit code 3: cancel them or let them expire, and erase again. First see to it that the user gets no more tokens.
    """
    from core.people import erasure

    if not yes:
        if not sys.stdin.isatty():
            fail("it cannot be undone: say --yes")
        click.confirm(f"Erase {user} for ever?", abort=True, err=True)
    with errors_in_one_line():
        erased = erasure.erase(services().database, user)
    _print("Erased", asdict(erased), as_json)
    if erased.unpaid_orders:
        sys.exit(EXIT_LEFT)


def _print(title: str, counts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(counts)
        return
    print_table(title, ("what", "rows"), ((name.replace("_", " "), f"{count:,}") for name, count in counts.items()))
