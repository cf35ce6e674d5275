"""`seckill`: the service and all its commands in one program, for installed packages and containers.

It is `python serve.py` and `flask` without the need to name the application.
"""

from cli import loading  # noqa: F401  # ahead of what takes time to load

# isort: split
import os

import click
from flask import Flask
from flask.cli import AppGroup, ScriptInfo

from core.version import __version__

_MARK = "FLASK_RUN_FROM_CLI"  # by it an application knows that a command runs, as under `flask`


def main() -> None:
    """Run the program."""
    from cli import commands

    # Not FlaskGroup: it looks for an application and a `.env` in the folder where it is called, and to print a help it
    # loads the application, which wrong settings prevent.
    program = AppGroup(
        name="seckill",
        help="The flash-sale service and its commands. Settings are read from the environment; the README lists them.",
    )
    click.version_option(__version__, prog_name="seckill")(program)
    for command in (serve, *commands.COMMANDS):
        program.add_command(command)
    os.environ[_MARK] = "true"
    program.main(prog_name="seckill", obj=ScriptInfo(create_app=_application, load_dotenv_defaults=False))


def _application() -> Flask:
    import app

    return app.create_app()


@click.command(
    "serve", context_settings={"ignore_unknown_options": True}, add_help_option=False, short_help="Start the service."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Prepare the database and serve until SIGINT, SIGTERM or SIGHUP, as `make run` does."""
    import serve as service

    del os.environ[_MARK]  # workers are no commands
    service.run([*arguments], "seckill serve")
