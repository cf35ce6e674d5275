"""Every text that a page or a script asks for is there, in both languages, and none is left over."""

import json
import re
from pathlib import Path

import pytest

from resources.http.problems import LANGUAGES, PROBLEMS
from web.storefront import texts
from web.storefront.money import money
from web.storefront.texts import for_scripts, outcome_text

FOLDER = Path(texts.__file__).parent
SCRIPTS = "\n".join(path.read_text() for path in FOLDER.glob("*.js"))
PAGES = "\n".join(
    path.read_text()
    for kind in ("*.py", "templates/**/*.html")
    for path in FOLDER.glob(kind)
    if path.name != "texts.py"
)
KEYS = {**texts.PAGES, **texts.SHARED}


def named(source: str) -> set[str]:
    """The keys that stand anywhere in a source."""
    return {key for key in KEYS if re.search(rf"""["'`]{re.escape(key)}["'`]""", source)}


def test_every_text_of_a_script_is_among_those_that_are_sent() -> None:
    sent = json.loads(for_scripts("en")).keys()
    calls = set(re.findall(r'\bt\("([a-z_.0-9]+)"', SCRIPTS))
    assert len(calls) > 20
    assert calls - sent == set()


def test_every_text_of_a_page_is_there() -> None:
    calls = set(re.findall(r"""\b(?:t|text)\(["']([a-z_.0-9]+[a-z])["']""", PAGES))
    assert len(calls) > 40
    assert calls - KEYS.keys() == set()


def test_no_text_is_left_over() -> None:
    made = ("outcome.", "status.", "order.", "section.", "why.")  # of a code or a state
    used = named(SCRIPTS) | named(PAGES)
    assert {key for key in KEYS if key not in used and not key.startswith(made)} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_has_words_in_each_language(language: str) -> None:
    details = {"limit": 2, "already_bought": 1, "available": 3, "retry_after": 5}
    shown = {code: outcome_text(code, language, details) for code in PROBLEMS}
    assert all(shown.values())
    assert not [words for words in shown.values() if "{" in words or "?" in words]
    assert "outcome.sold_out" in json.loads(for_scripts(language))


def test_both_languages_have_the_same_values() -> None:
    for key, shown in KEYS.items():
        assert set(re.findall(r"\{\w+\}", shown.en)) == set(re.findall(r"\{\w+\}", shown.zh)), key


@pytest.mark.parametrize(
    ("amount", "currency", "english", "chinese"),
    [
        (199900, "CNY", "CN¥1,999.00", "¥1,999.00"),
        (5, "USD", "$0.05", "US$0.05"),
        (1500, "JPY", "¥1,500", "JP¥1,500"),
        (1234567, "KWD", "KWD\u00a01,234.567", "KWD\u00a01,234.567"),
        (0, "EUR", "€0.00", "€0.00"),
        (-250, "GBP", "−£2.50", "−£2.50"),
        (10**16, "CNY", "CN¥100,000,000,000,000.00", "¥100,000,000,000,000.00"),
    ],
)
def test_amounts_are_written_as_the_currency_is(amount: int, currency: str, english: str, chinese: str) -> None:
    assert (money(amount, currency, "en"), money(amount, currency, "zh")) == (english, chinese)
