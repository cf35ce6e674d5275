"""The session's cookie and the forms' tokens: what they prove, and to whom."""

import time

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from core.tokens import InvalidToken, Tokens
from web.session import MAX_SECONDS, Sessions, is_ours, is_secure

KEY = "a-key-of-the-tests-with-more-than-32-bytes"
OLD = "an-older-key-of-the-tests-of-over-32-bytes"
HOUR = 3600


def in_an_hour() -> int:
    return int(time.time()) + HOUR


@pytest.mark.parametrize("user", ["alice", "爱丽丝", "a b<c>\"'", "😀" * 64])
def test_a_cookie_proves_its_user(user: str) -> None:
    sessions = Sessions(KEY)
    session = sessions.open(user, in_an_hour())
    assert sessions.read(sessions.cookie(session)) == session
    assert session.user_id == user


def test_a_session_ends_no_later_than_its_token_and_after_twelve_hours_at_most() -> None:
    sessions, soon = Sessions(KEY), in_an_hour()
    assert sessions.open("alice", soon).expires == soon
    assert sessions.open("alice", soon + 10**9).expires <= time.time() + MAX_SECONDS


def test_a_session_that_is_over_proves_nothing() -> None:
    sessions = Sessions(KEY)
    assert sessions.read(sessions.cookie(sessions.open("alice", int(time.time()) - 1))) is None


def test_the_first_key_signs_and_the_others_still_verify() -> None:
    before = Sessions(OLD)
    session = before.open("alice", in_an_hour())
    replaced = Sessions(KEY, [OLD])
    assert replaced.read(before.cookie(session)) == session
    assert replaced.is_form_token(session, before.form_token(session))
    assert Sessions(KEY).read(replaced.cookie(session)) == session
    assert Sessions(KEY).read(before.cookie(session)) is None
    assert not Sessions(KEY).is_form_token(session, before.form_token(session))


def test_a_cookie_is_no_token_and_a_token_no_cookie() -> None:
    sessions, tokens = Sessions(KEY), Tokens(KEY)
    session = sessions.open("alice", in_an_hour())
    for text in (sessions.cookie(session), sessions.form_token(session)):
        with pytest.raises(InvalidToken):
            tokens.verify(text)
    assert sessions.read(tokens.issue("alice")) is None
    assert sessions.read(sessions.form_token(session)) is None


def test_nothing_that_was_tampered_with_is_read() -> None:
    sessions = Sessions(KEY)
    cookie = sessions.cookie(sessions.open("alice", in_an_hour()))
    for text in (
        None,
        "",
        "x",
        cookie[:-1],
        cookie + "A",
        "A" + cookie,
        cookie[:5] + "x" + cookie[6:],
        "é",
        cookie * 40,
    ):
        assert sessions.read(text) is None


def test_a_form_token_is_of_one_session_and_never_the_same_twice() -> None:
    sessions = Sessions(KEY)
    mine, other = sessions.open("alice", in_an_hour()), sessions.open("alice", in_an_hour())
    first, second = sessions.form_token(mine), sessions.form_token(mine)
    assert first != second
    assert sessions.is_form_token(mine, first)
    assert sessions.is_form_token(mine, second)
    for wrong in (
        None,
        "",
        first[:-1],
        first[:-1] + "x",
        second[:16] + first[16:],
        "é" * 56,
        sessions.form_token(other),
    ):
        assert not sessions.is_form_token(mine, wrong)


def form_request(base: str = "http://shop.example", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(EnvironBuilder(base_url=base, headers=named).get_environ())


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"Sec_Fetch_Site": "same-origin", "Origin": "http://shop.example"}, True),
        ({"Sec_Fetch_Site": "same-site", "Origin": "http://shop.example"}, False),
        ({"Sec_Fetch_Site": "cross-site"}, False),
        ({"Sec_Fetch_Site": "none"}, False),
        ({"Origin": "http://shop.example"}, True),
        ({"Origin": "http://shop.example:80"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://shop.example.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[bad"}, False),
        ({}, True),  # no browser's form
    ],
)
def test_a_browser_says_whether_a_form_is_ours(headers: dict[str, str], ours: bool) -> None:
    assert is_ours(form_request(**headers), proxies=0) is ours


def test_where_the_host_has_a_port_the_origin_must_have_it_too() -> None:
    assert is_ours(form_request("http://127.0.0.1:8000", Origin="http://127.0.0.1:8000"), proxies=0)
    assert not is_ours(form_request("http://127.0.0.1:8000", Origin="http://127.0.0.1:9000"), proxies=0)


def test_a_trusted_origin_may_send_a_form() -> None:
    sent = form_request(Origin="https://login.example", Sec_Fetch_Site="cross-site")
    assert is_ours(sent, 0, ("https://login.example",))
    assert not is_ours(sent, 0, ("https://other.example",))


def test_what_a_proxy_says_is_believed_only_where_there_is_one() -> None:
    sent = form_request(
        Origin="https://shop.example", X_Forwarded_Host="shop.example", X_Forwarded_Proto="https", Host="inner"
    )
    assert is_ours(sent, proxies=1)
    assert not is_ours(sent, proxies=0)
    assert is_secure(sent, proxies=1)
    assert not is_secure(sent, proxies=0)
    assert is_secure(form_request("https://shop.example"), proxies=0)
