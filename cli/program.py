"""`seckill`: the service and all its commands in one program, for installed packages and containers.

It is `python serve.py` and `flask` without the need to name the application.
"""

from cli import first_process  # noqa: F401  # ahead of what takes time to load

# isort: split
import os

import click
from flask import Flask
from flask.cli import FlaskGroup

from core.version import __version__


def main() -> None:
    """Run the program."""
    from cli import commands

    # Not FlaskGroup's own options (--app, --env-file, --debug), nor its `.env`: config.py says where settings are.
    program = FlaskGroup(
        name="seckill",
        help="The flash-sale service and its commands. Settings are read from the environment; the README lists them.",
        create_app=_application,
        add_default_commands=False,
        add_version_option=False,
        load_dotenv=False,
        set_debug_flag=False,
    )
    program.params = []
    click.version_option(__version__, prog_name="seckill")(program)
    # Here, not only by the application, which wrong settings prevent: help and names of commands need none.
    for command in (serve, *commands.COMMANDS):
        program.add_command(command)
    program.main(prog_name="seckill")


def _application() -> Flask:
    import app

    return app.create_app()


@click.command(
    "serve", context_settings={"ignore_unknown_options": True}, add_help_option=False, short_help="Start the service."
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    """Prepare the database and serve until SIGINT or SIGTERM, as `make run` does."""
    import serve as service

    del os.environ["FLASK_RUN_FROM_CLI"]  # workers are no commands
    service.run([*arguments], "seckill serve")
