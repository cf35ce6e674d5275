"""CSV that is safe to open in a spreadsheet, in pieces."""

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any

# A spreadsheet takes text that begins with one of these, or with its full-width form, for a formula.
_FORMULA_STARTS = frozenset("=+-@")
PIECE_CHARACTERS = 8192


def pieces(names: Sequence[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """A line of names, and a line for each row, a few at a time. None is an empty cell.

    Text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    written = StringIO()
    writer = csv.writer(written)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_safe(cell) for cell in row])
        if written.tell() > PIECE_CHARACTERS:
            yield _taken(written)
    yield _taken(written)


def _taken(written: StringIO) -> str:
    text = written.getvalue()
    written.seek(0)
    written.truncate()
    return text


def _safe(cell: Any) -> Any:
    if not isinstance(cell, str) or (cell[:1].isalnum() and cell.isascii()):
        return cell
    begin = unicodedata.normalize("NFKC", cell).lstrip()[:1]
    return f"'{cell}" if begin in _FORMULA_STARTS else cell
