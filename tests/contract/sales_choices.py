"""What buyers and administrators of the model choose from, and what a refusal looks like."""

from typing import Any

from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.contract.sales_model import ABROAD, FUTURE, IN_CHINA, PAST

USERS = st.sampled_from(["alice", "bob"])
KEYS = st.sampled_from([None, None, "k1", "k2"])
QUANTITIES = st.integers(1, 4)
WINDOWS = st.sampled_from([(None, None)] * 4 + [(PAST, FUTURE), (FUTURE, None), (None, PAST)])
LIMITS = st.sampled_from([None, None, 1, 2, 4])
FITTING = ("what the item needs", None)
UNFITTING = st.sampled_from(
    [(None, None), ("post", None), (None, IN_CHINA), ("local", ABROAD), ("local", None), ("boat", IN_CHINA)]
)
DELIVERIES = st.one_of(st.just(FITTING), st.just(("local", IN_CHINA)), UNFITTING)
EXPECTED = st.sampled_from([None, "right", "wrong"])


def refused(answer: TestResponse, status: int, code: str, **members: Any) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json["code"] == code
    common = {"type", "title", "status", "code", "detail", "request_id"}
    assert {name: value for name, value in answer.json.items() if name not in common} == members
    assert ("Retry-After" in answer.headers) == (status == 429)
