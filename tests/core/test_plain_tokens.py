"""The short way to read a token knows no token that the library would not, and reads it as the library does."""

import base64
import hmac
import time

import jwt
import pytest

from core import plain_tokens
from core.tokens import InvalidToken, Tokens
from tests.core.forged_tokens import HOUR, forged, signed

KEY = "a-key-of-the-tests-with-more-than-32-bytes"


def read(token: str) -> dict | None:
    return plain_tokens.claims(token, KEY.encode())


@pytest.mark.parametrize("is_admin", [False, True])
def test_the_tokens_that_are_issued_here_are_plain(is_admin: bool) -> None:
    token = Tokens(KEY).issue("爱丽丝", is_admin)
    assert read(token) == jwt.decode(token, KEY, algorithms=["HS256"])


@pytest.mark.parametrize("claims", [{}, {"scope": "admin"}, {"iat": "soon"}, {"sub": "x" * 65}, {"scope": ["admin"]}])
def test_a_plain_token_is_read_as_the_library_reads_it(claims: dict) -> None:
    token = signed(KEY, **claims)
    assert read(token) == jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_iat": False}) is not None


@pytest.mark.parametrize("claims", [{"nbf": 0}, {"aud": "somebody"}, {"exp": time.time() + HOUR}])
def test_other_tokens_are_left_to_the_library(claims: dict) -> None:
    token = signed(KEY, **claims)
    assert read(token) is None
    assert Tokens(KEY).verify(token).user_id == "alice"


# What is wrong with these is judged by who asks, of plain tokens and others alike.
_JUDGED_LATER = {
    "an empty sub",
    "an over-long sub",
    "a sub with a NUL",
    "a scope of a list",
    "a sub with a lone surrogate",
}


@pytest.mark.parametrize("wrong", sorted(forged(KEY).keys() - _JUDGED_LATER))
def test_a_token_that_proves_nothing_has_no_claims(wrong: str) -> None:
    assert read(forged(KEY)[wrong]) is None


def test_a_token_with_any_other_character_has_no_claims() -> None:
    token = signed(KEY)
    for place, character in enumerate(token):
        for other in {"A", "b", "-", "=", "."} - {character}:
            changed = token[:place] + other + token[place + 1 :]
            assert read(changed) is None, changed
            with pytest.raises(InvalidToken):
                # The last character of a signature has bits to spare: the library takes another one for it.
                Tokens(KEY).verify(changed if place < len(token) - 1 else changed + "AAAA")


@pytest.mark.parametrize(
    "key", ["ssh-rsa AAAAB3NzaC1yc2E", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"]
)
def test_under_a_key_that_looks_public_no_token_is_valid(key: str) -> None:
    token = Tokens(KEY).issue("alice")
    head, payload, _ = token.split(".")
    signature = base64.urlsafe_b64encode(hmac.digest(key.encode(), f"{head}.{payload}".encode(), "sha256"))
    with pytest.raises(InvalidToken):
        Tokens(KEY, [key]).verify(f"{head}.{payload}.{signature.rstrip(b'=').decode()}")


def test_a_token_holds_until_the_second_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    token = signed(KEY, exp=1_000_000_000)
    monkeypatch.setattr(time, "time", lambda: 999_999_999.9)
    assert read(token) == {"sub": "alice", "exp": 1_000_000_000}
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    assert read(token) is None
