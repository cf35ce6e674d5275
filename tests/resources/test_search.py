"""`GET /goods?q=` finds the same names on every database."""

import pytest
from sqlalchemy import text

from core.catalogue.search import searchable
from tests.resources.calls import OPERATOR, Calls

FOUND = [
    ("Клавиатура", "КЛАВИАТУРА"),
    ("КЛАВИАТУРА", "клави"),
    ("Müller", "MÜLLER"),
    ("MÜLLER", "müll"),
    ("Mu\u0308ller", "müller"),
    ("Müller", "muller"),
    ("Ｋｅｙｂｏａｒｄ", "keyboard"),
    ("keyboard", "ＫＥＹ"),
    ("Straße", "STRASSE"),
    ("ΟΔΟΣ", "οδος"),
    ("ﬁre", "FI"),
    ("①", "1"),
    ("机械键盘", "键盘"),
    ("100% wool", "0% W"),
    ("a_b", "A_B"),
    ("C:\\temp", "c:\\T"),
    ("it's", "IT'S"),
    ("Wireless mouse", "  mouse\u3000"),
    ("Wireless mouse", "less mou"),
]
NOT_FOUND = [("カキ", "かき"), ("ดี", "ดา"), ("a-b", "a_b"), ("100 wool", "0%w"), ("Straße", "strase"), ("x", "y")]


@pytest.mark.parametrize(("name", "query"), FOUND)
def test_names_are_found_whatever_the_case_the_accents_and_the_width(call: Calls, name: str, query: str) -> None:
    item = call.create(name=name)
    call.create(name="other")
    found = call.get("/goods", query_string={"q": query}).json["items"]
    assert [each["id"] for each in found] == [item["id"]]
    assert found[0]["name"] == name


@pytest.mark.parametrize(("name", "query"), NOT_FOUND)
def test_other_names_are_not_found(call: Calls, name: str, query: str) -> None:
    call.create(name=name)
    assert call.get("/goods", query_string={"q": query}).json["items"] == []


def test_a_changed_name_is_found_by_the_new_one(call: Calls) -> None:
    item = call.create(name="Чайник")
    assert call.patch(f"/goods/{item['id']}", OPERATOR, json={"name": "Кружка"}).status_code == 200
    assert call.get("/goods", query_string={"q": "чайник"}).json["items"] == []
    assert len(call.get("/goods", query_string={"q": "КРУЖКА"}).json["items"]) == 1


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Kettle", "KETT"), ("Чайник", "чАЙН"), ("Übertopf", "ÜBER"), ("ΟΔΟΣΑ", "ΟΔΟΣ"), ("ＴＥＡ", "ｔｅ")],
)
def test_a_row_that_sql_of_others_wrote_is_found_by_its_name(call: Calls, name: str, wanted: str) -> None:
    call.create(name=name)
    with call.services.database.engine.begin() as connection:
        connection.execute(text("UPDATE goods SET search_text = NULL"))
    assert len(call.get("/goods", query_string={"q": wanted}).json["items"]) == 1


def test_the_longest_name_has_room() -> None:
    assert len(searchable("\ufdfa" * 200)) == 3600
