"""The commands of `flask`, for operators. What is heavy is imported by the command that needs it: workers load it.

Tables and bars are for eyes; `--json` prints one object on stdout for machines. A command that touches the database
says on stderr which one it is. Errors are one line on stderr.
"""

import logging
import os
import signal
import sys

from flask import Flask

from cli.checks import audit, doctor
from cli.database import init_db, seed
from cli.export import export
from cli.jobs import prune, publish, sweep
from cli.person import person
from cli.report import report
from cli.summary import summary
from cli.token import token
from core.ops.text_output import escape_what_cannot_be_shown

COMMANDS = (init_db, seed, token, audit, sweep, publish, prune, doctor, report, summary, export, person)


def register(app: Flask) -> None:
    """Add the commands to `flask`."""
    for command in COMMANDS:
        app.cli.add_command(command)
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":  # not in a worker, which never migrates
        from server import prepare

        escape_what_cannot_be_shown()
        # Process 1 of a container, which has no handler, would not hear it.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        # Commands say what is wrong in a line of their own.
        logging.getLogger("seckill").addHandler(logging.NullHandler())
        prepare.offer_migrations(app)
