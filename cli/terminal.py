"""What commands print: tables for eyes, JSON for machines, and what went wrong in one line."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from flask.cli import with_appcontext

from core.ops.text_output import drop_what_cannot_be_written, takes_everything
from core.refusals import Refusal
from core.tokens import MAX_USER_ID, is_user_id
from resources.http.context import services

if TYPE_CHECKING:
    from rich.console import Console

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def on_database(may_be_missing: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a command in the application's context, after printing on stderr which database it connects to.

    A SQLite file that is not there ends the command, unless it `may_be_missing`: connecting would make an empty one.
    """

    def decorator(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def speaking(*arguments: Any, **options: Any) -> None:
            settings = services().settings
            print_stderr(f"Database: {_shown_database()}")
            path = Path(settings.database_url.database or "")
            if settings.on_sqlite and not may_be_missing and not path.exists():
                from core.ops.command_line import flask_line

                fail(f"there is no database file {path}; run `{flask_line('init-db')}`")
            with unwritable_in_one_line():
                command(*arguments, **options)

        wrapped: Callable[..., None] = with_appcontext(speaking)
        return wrapped

    return decorator


@contextlib.contextmanager
def unwritable_in_one_line() -> Iterator[None]:
    """End the command with one line where its output cannot be written; with none where nobody reads it any more."""
    try:
        yield
        if sys.stdout is not None:  # it is where the shell has closed it (`>&-`)
            sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
        sys.exit(1)
    except OSError as error:
        _write_no_more()
        fail(f"the output cannot be written: {error.strerror or error}")


def user_id(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The callback of an option that names a user: the text that its bytes are in UTF-8, whatever the terminal's own
    encoding is. Refuses what can be no user's id.
    """
    if value is None:
        return None
    with contextlib.suppress(UnicodeDecodeError):
        value = os.fsencode(value).decode()
    if not is_user_id(value):
        raise click.BadParameter(f"a user's id has 1 to {MAX_USER_ID} characters, none of them a control character")
    return value


def _write_no_more() -> None:
    """Let nothing be left that Python would write, and fail to, at its end."""
    with contextlib.suppress(OSError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def _shown_database() -> str:
    """The database's address without its password and options, and the file of settings that was named."""
    from config import ENV_FILE_NAME, env_file

    address = services().settings.database_url.set(query={}).render_as_string(hide_password=True)
    return f"{address} (settings: {env_file()})" if os.environ.get(ENV_FILE_NAME) else address


def console(stream: Any) -> "Console":
    """For a stream: a terminal's width, or none for a pipe."""
    from rich.console import Console

    # A pipe has no width: nothing is folded there, so that grep finds whole names.
    return Console(file=stream, width=None if stream is not None and stream.isatty() else 10_000, highlight=False)


def print_table(
    title: str, columns: Iterable[str], rows: Iterable[Iterable[object]], styles: Iterable[str] = ()
) -> None:
    """Print a table for eyes; `styles` are those of each row's second cell."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    # Text, not str: brackets in a name are no markup.
    cells = [[Text("" if value is None else str(value)) for value in row] for row in rows]
    for row, style in zip(cells, styles, strict=False):
        row[1].stylize(style)
    for row in cells:
        table.add_row(*row)
    console(sys.stdout).print(table)


def print_json(value: object) -> None:
    """Print a value on one line, for machines."""
    click.echo(json.dumps(value, ensure_ascii=not takes_everything(sys.stdout)))


def again_and_again(seconds: float, work: Callable[[], object]) -> None:
    """Do `work` now and every `seconds`, until SIGINT or SIGTERM; returns when the turn in hand has ended.

    A failure is printed in one line and tried again: it must end nothing. To be called before any thread is started.
    """
    # Blocked, and waited for by name: the kernel keeps a blocked signal even for process 1 of a container, for which it
    # drops those that have no handler. A handler of Python's could be late by a whole pause, and would cut work short.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    stopped = None
    while stopped is None:
        try:
            with errors_in_one_line():
                work()
        except SystemExit:
            pass  # it was printed
        except Exception as error:
            print_error(f"{type(error).__name__}: {error}")
        stopped = signal.sigtimedwait(STOP_SIGNALS, seconds)
    drop_what_cannot_be_written()


def stop_requested() -> bool:
    """Whether a signal to stop has come while `again_and_again` is in a turn: for turns that can take long."""
    return not signal.sigpending().isdisjoint(STOP_SIGNALS)


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Turn what an unfit database raises into one line and exit 1."""
    from sqlalchemy.exc import DBAPIError

    from core.ops.audit import one_line
    from core.ops.command_line import flask_line

    try:
        yield
    except Refusal as refusal:
        cause = refusal.__cause__
        fail(f"the database is {refusal.code}" + (f": {one_line(cause)}" if cause else ""))
    except DBAPIError as error:
        make, look = flask_line("init-db"), flask_line("doctor")
        fail(f"{one_line(error)} (`{make}` makes the tables, `{look}` looks for what is wrong)")


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error on standard error, and exit with `code`."""
    print_error(message)
    sys.exit(code)


def print_error(message: str) -> None:
    """Print an error on standard error."""
    print_stderr(f"Error: {message}")


def print_key_source() -> None:
    """Print on standard error where the signing key comes from; never the key."""
    from core.ops.key_source import KEPT, source

    found = source(services().settings.SECRET_KEY)
    print_stderr(f"Key: {found}" if found == KEPT else f"Key: SECKILL_SECRET_KEY (settings: {found})")


def print_stderr(line: str) -> None:
    """Print a line on standard error. That nobody can read it must end nothing."""
    with contextlib.suppress(OSError, ValueError):
        click.echo(line, err=True)
