"""`flask export`: orders and payments as CSV, streamed."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from cli.terminal import errors_in_one_line, fail, on_database
from core.db.shares import Share
from resources.http.context import services


@click.command("export")
@click.argument("what", type=click.Choice(["orders", "payments"]))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it.")
@on_database()
def export(what: str, output: Path | None) -> None:
    """Write all orders, or all that the payment provider told, as CSV in UTF-8, the oldest first.

    It is safe to open in a spreadsheet, and takes the same memory however many there are. Orders' addresses are in it.
    A file is written whole or not at all.
    """
    try:
        with errors_in_one_line():
            pieces = _orders() if what == "orders" else _payments()
            if output is None:
                for piece in pieces:
                    sys.stdout.buffer.write(piece.encode())
                sys.stdout.buffer.flush()
            else:
                _write(output, pieces)
    except BrokenPipeError:
        raise  # cli/terminal.py ends the command without a word
    except OSError as error:
        fail(f"{output or 'standard output'} cannot be written: {error.strerror}")


def _orders() -> Iterator[str]:
    from core.orders.order_list import Filters
    from core.orders.orders import Viewer
    from resources.order_export import csv_of

    return csv_of(services().database.of(Share.READS), Viewer("", is_admin=True), Filters())


def _payments() -> Iterator[str]:
    from core.ops import csv_text
    from core.payments import payment_records
    from resources.payment_models import Payment
    from resources.payments import payment_json

    rows = payment_records.every(services().database.of(Share.READS))
    return csv_text.pieces(tuple(Payment.model_fields), (payment_json(row).values() for row in rows))


def _write(path: Path, pieces: Iterator[str]) -> None:
    """Write a file under its name once it is complete, for its owner's eyes: it has addresses."""
    path = path.resolve()
    if path.exists() and not path.is_file():
        fail(f"{path} is no file")  # a device's name must not be replaced
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
