"""The server: prepares the database and starts the workers under their supervisor.

    python serve.py            what `make run` starts

HOST, PORT, WORKERS and THREADS, in the environment or the file of settings, change where and how; everything else is in
config.py.
"""

from cli import loading  # noqa: F401  # ahead of what takes time to load

# isort: split
import argparse
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import urllib.request

import config
from core.ops.text_output import escape_what_cannot_be_shown
from server.address import Address

# Why these: docs/performance.md.
WORKERS = 2
THREADS = 32  # answer what has to wait, but for purchases
MAX_WORKERS = 64
MAX_THREADS = 1024


def main() -> None:
    """Serve until a signal to stop. Whatever prevents the start is one line on standard error and exit code 1."""
    from click import ClickException

    escape_what_cannot_be_shown()
    multiprocessing.set_start_method("fork")  # no longer the default from Python 3.14 on
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_the_start)
    try:
        settings = config.load(first_start=True)
        values = {**config.file_values(), **os.environ}
        address = Address(
            values.get("HOST") or "127.0.0.1",
            _number(values.get("PORT"), "PORT", 8000, 65535),
            _number(values.get("WORKERS"), "WORKERS", WORKERS, MAX_WORKERS),
            _number(values.get("THREADS"), "THREADS", THREADS, MAX_THREADS),
        )
        _warn_of_unknown_names()
        serve_until_stopped(address.when_free(), settings)
    except ClickException as error:
        sys.exit(f"error: {error.message}")


def _stop_the_start(number: int, frame: object) -> None:
    """Until the supervisor listens: end without a traceback, as process 1 of a container too."""
    sys.exit(0)


def _number(value: str | None, name: str, default: int, most: int) -> int:
    given = value or str(default)
    if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= most:
        raise config.InvalidSettings(f"{name} must be a whole number from 1 to {most}")
    return int(given)


def _warn_of_unknown_names() -> None:
    for name in config.unknown_names():
        print(f"warning: {name} is no setting of this service; see README.md", file=sys.stderr)


def serve_until_stopped(address: Address, settings: config.Settings) -> None:
    """Prepare the database, start the workers and supervise them. Returns once they have stopped."""
    # Imported once here, and shared by the workers, which are forked: a new one is there in no time.
    from core.ops.host_memory import HostMemory
    from resources.http import request_log
    from server import supervisor, worker

    _prepare(settings)
    request_log.configure(settings)
    host = HostMemory(parts=address.workers)

    def start(part: int) -> multiprocessing.Process:
        process = multiprocessing.Process(target=worker.run, args=(part, host, address, settings))
        process.start()
        return process

    supervisor.hold_signals()
    threading.Thread(target=_greet, args=(address, settings), daemon=True).start()
    # How long a stop may take: docs/deployment.md, "Stop".
    supervisor.Supervisor(host, start, settings.DRAIN_SECONDS, stop_seconds=settings.answer_seconds + 2).run()


def _prepare(settings: config.Settings) -> None:
    """Prepare the database in a process of its own: the workers are not to inherit what only that needs."""
    process = multiprocessing.Process(target=prepare_here, args=(settings,))
    process.start()
    try:
        process.join()
    finally:
        process.terminate()  # where the wait for it was ended by a signal
    if process.exitcode != 0:
        sys.exit(1)


def prepare_here(settings: config.Settings) -> None:
    """Prepare the database in this process. What is wrong with it ends the process, with one line."""
    from click import ClickException

    import app
    from server import prepare

    try:
        application = app.create_app(settings)
        prepare.upgrade(application)
        prepare.prove(application)
        if settings.on_sqlite:
            from core.ops import seed

            seed.demo(application.extensions["seckill"].database, only_if_empty=True)
    except ClickException as error:
        sys.exit(f"error: {error.message}")


def _greet(address: Address, settings: config.Settings) -> None:
    """Print what to do next, once requests are answered."""
    # No proxy of the environment: it could not reach this host, or would be late to say so.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(200):
        try:
            with opener.open(f"{address.url}/readyz", timeout=1) as answer:
                if answer.status == 200:
                    break
        except OSError:
            time.sleep(0.05)
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        print(greeting(address, settings), flush=True)


def greeting(address: Address, settings: config.Settings) -> str:
    """What is printed at the start: where to look, and lines to try. Tokens stand in it on SQLite alone."""
    from core.ops.command_line import flask_line
    from core.tokens import Tokens

    if settings.on_sqlite:
        tokens = Tokens(settings.SECRET_KEY, provider_only=settings.IDENTITY_ONLY)
        buyer = tokens.issue("alice")
        admin = "" if settings.IDENTITY_ONLY else tokens.issue("operator", is_admin=True)
    else:
        # A real sale: its keys are not for terminals and log files.
        buyer = f"$({flask_line('token', '--user', 'alice')})"
        admin = f"$({flask_line('token', '--user', 'operator', '--admin')})"
    json = '-H "Content-Type: application/json"'
    curl, by_buyer = "curl --noproxy '*'", f'-H "Authorization: Bearer {buyer}"'
    pay = ""
    if settings.test_payments:
        newest = f"'{address.url}/orders?status=pending&sort=-purchased_at&limit=1'"
        number = f'$({curl} -s {newest} {by_buyer} | sed -n \'s/.*"order_no": *"\\([^"]*\\).*/\\1/p\')'
        pay = f"""
Pay for it, without money:

  {curl} -X POST {address.url}/orders/{number}/pay {by_buyer}
"""
    # Where only the identity provider names administrators, no line of ours can be one's.
    more = (
        ""
        if settings.IDENTITY_ONLY
        else f"""
Put ten more units of item 1 on sale:

  {curl} -X PATCH {address.url}/goods/1 -H "Authorization: Bearer {admin}" {json} -d '{{"stock_delta": 10}}'
"""
    )
    pages = {
        "docs": f"  API to read and try   {address.url}/docs\n  OpenAPI description   {address.url}/openapi.json\n",
        "console": f"  Operator's console    {address.url}/admin\n",
    }
    served = "".join(line for page, line in pages.items() if page in settings.PAGES)
    return f"""
Serving {settings.database_url.render_as_string(hide_password=True)} at {address.url}

{served}
Buy a unit of item 1:

  {curl} -X POST {address.url}/seckill/1 {by_buyer}
{pay}{more}
Ctrl-C stops it.
"""


def _read_arguments(arguments: list[str], program: str) -> None:
    """Print help where it is asked for; whatever else is given is refused with one line and exit code 2."""
    escape_what_cannot_be_shown()
    settings = [
        f"  {config.PREFIX}{name}\n      {field.description}" for name, field in config.Settings.model_fields.items()
    ]
    parser = argparse.ArgumentParser(
        prog=program,
        usage=f"{program} [-h]",
        description="Prepare the database and serve until SIGINT, SIGTERM or SIGHUP.",
        epilog="\n".join(
            [
                "What may be set, in the environment or in the file that SECKILL_ENV_FILE names; by default that is",
                "`.env` beside this program:",
                "  HOST (127.0.0.1), PORT (8000)",
                f"  WORKERS ({WORKERS}), and for each of them THREADS ({THREADS} that answer what has to wait,",
                "  but for purchases)",
                "",
                *settings,
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        exit_on_error=False,
    )
    try:
        _, unknown = parser.parse_known_args(arguments)
    except argparse.ArgumentError:
        unknown = arguments
    if unknown:
        # Not quoted: an argument may hold a password.
        parser.exit(2, f"error: {program} takes no arguments but --help; it reads its settings from the environment\n")


def run(arguments: list[str], program: str) -> None:
    """Serve as a command, `program`, that was given `arguments`."""
    _read_arguments(arguments, program)
    main()


if __name__ == "__main__":
    run(sys.argv[1:], "serve.py")
