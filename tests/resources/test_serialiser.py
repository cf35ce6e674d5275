"""Bodies are made by the models that document them: their fields, in their order, times as text."""

from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from resources.http.bases import Answer
from resources.http.serialiser import serialiser

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


class Ticket(Answer):
    status: str
    number: int
    sold_at: datetime
    used_at: datetime | None


ROW = SimpleNamespace(used_at=None, sold_at=NOON, number=7, status="sold", internal="not shown")


def test_a_body_has_the_fields_of_its_model_in_their_order() -> None:
    body = serialiser(Ticket)(ROW)
    assert list(body.items()) == [
        ("status", "sold"),
        ("number", 7),
        ("sold_at", "2026-11-23T12:00:00.000Z"),
        ("used_at", None),
    ]


def test_what_is_computed_comes_in_the_same_order() -> None:
    body = serialiser(Ticket, "status", "used_at")(ROW, used_at=NOON, status="used")
    assert list(body) == list(Ticket.model_fields)
    assert (body["status"], body["used_at"]) == ("used", "2026-11-23T12:00:00.000Z")


@pytest.mark.parametrize("row", [SimpleNamespace(status="sold"), None])
def test_a_row_without_a_field_has_no_body(row: object) -> None:
    with pytest.raises(AttributeError):
        serialiser(Ticket)(row)


def test_what_was_to_be_computed_is_not_left_out_in_silence() -> None:
    with pytest.raises(TypeError):
        serialiser(Ticket, "status")(ROW)
