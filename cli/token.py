"""`flask token`: tokens for the API, one or many."""

from datetime import datetime, timezone
from typing import Any

import click
from flask.cli import with_appcontext

from cli.terminal import as_json_option, fail, print_json, print_key_source, unwritable_in_one_line, user_id
from config import INSTANCE
from core.db.clock import iso
from core.ops.secret_key import missing
from resources.http.context import services

MAX_TOKEN_HOURS = 24 * 365
MAX_TOKENS = 100_000


@click.command("token")
@click.option("--user", callback=user_id, help="The user's id, 1 to 64 characters.")
@click.option("--count", type=click.IntRange(1, MAX_TOKENS), help="Tokens of as many users instead, one a line.")
@click.option("--prefix", default="load-", show_default=True, help="Their ids are this and a number from 1 on.")
@click.option("--admin", is_flag=True, help="With an administrator's rights.")
@click.option(
    "--hours",
    type=click.FloatRange(0, MAX_TOKEN_HOURS, min_open=True),
    default=12,
    show_default=True,
    help="Hours until they expire.",
)
@as_json_option
@with_appcontext
def token(user: str | None, count: int | None, prefix: str, admin: bool, hours: float, as_json: bool) -> None:
    """Print a token for the API, and nothing else; or `--count` of them. It makes no key and reads no database.

    On stderr it says which key signs.
    """
    settings = services().settings
    if not settings.has_key:
        fail(missing(INSTANCE / "secret_key"))
    if (user is None) == (count is None):
        raise click.UsageError("say either --user, for one token, or --count, for many")
    print_key_source()
    users = [user] if user is not None else (f"{prefix}{number}" for number in range(1, count + 1))  # type: ignore[operator]
    made = ((name, _issue(name, admin, hours)) for name in users)
    with unwritable_in_one_line():
        if not as_json:
            for _, text in made:
                click.echo(text)
            return
        every = [_as_object(name, text, admin) for name, text in made]
        print_json(every[0] if count is None else {"tokens": every})


def _issue(user: str, admin: bool, hours: float) -> str:
    try:
        return services().tokens.issue(user, admin, hours)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _as_object(user: str, text: str, admin: bool) -> dict[str, Any]:
    import jwt

    expires = jwt.decode(text, options={"verify_signature": False})["exp"]
    return {
        "token": text,
        "user": user,
        "admin": admin,
        "expires_at": iso(datetime.fromtimestamp(expires, timezone.utc)),
    }
