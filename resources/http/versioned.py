"""What routes for versioned rows share: ids in paths, `If-Match`, and answers with the row's ETag."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import request

from core.db.database import AnyRow
from core.refusals import Refusal
from resources.http.answers import conditional
from resources.http.fields import MAX_ID
from resources.http.reply import Reply

Answered = tuple[dict[str, Any], int, dict[str, str]]

_ID = re.compile(r"[1-9]\d{0,18}", re.ASCII)
_VERSION = re.compile(r"\d{1,19}", re.ASCII)


def row_id(text: str, not_found: str) -> int:
    """The id in a path. Raises Refusal with the code `not_found` for text that cannot be an id."""
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        raise Refusal(not_found)
    return int(text)


def expected_versions() -> set[int] | None:
    """The versions that `If-Match` names; None where any will do. The ETag of a read serves as well as a version."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    tags = (tag.partition("-")[0] for tag in request.if_match.as_set() if tag)
    return {int(tag) for tag in tags if _VERSION.fullmatch(tag)}


def version_alone(row: AnyRow) -> str:
    """The ETag of a row whose answer changes with its version alone."""
    return str(row.version)


@dataclass(frozen=True)
class Answers:
    """The answers about the rows of one route: `path` is that of its list, `key` is the column that follows it.

    An ETag begins with the version: what follows a `-` changes without one, such as the stock.
    """

    path: str
    body: Callable[[AnyRow], dict[str, Any]]
    etag: Callable[[AnyRow], str] = version_alone
    key: str = "id"

    def read(self, row: AnyRow, cache_control: str = "private, no-cache") -> Reply:
        """The row, or 304 where the client has it."""
        return conditional(self.body(row), self.etag(row), cache_control)

    def changed(self, row: AnyRow) -> Answered:
        """The row after a change."""
        return self.body(row), 200, {"ETag": f'"{self.etag(row)}"'}

    def created(self, row: AnyRow) -> Answered:
        """The new row, and where it is."""
        return self.body(row), 201, {"Location": f"{self.path}/{getattr(row, self.key)}", "ETag": f'"{self.etag(row)}"'}
