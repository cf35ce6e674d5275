"""What a token proves, and which prove nothing."""

import time

import jwt
import pytest

from core.tokens import Identity, InvalidToken, Tokens, is_user_id
from tests.core.forged_tokens import HOUR, forged, signed

KEY = "a-key-of-the-tests-with-more-than-32-bytes"
OLD = "an-older-key-of-the-tests-of-over-32-bytes"


def test_an_issued_token_proves_its_user() -> None:
    assert Tokens(KEY).verify(Tokens(KEY).issue("alice")) == Identity("alice", False)
    assert Tokens(KEY).verify(Tokens(KEY).issue("root", is_admin=True)) == Identity("root", True)


def test_an_issued_token_lasts_as_long_as_asked() -> None:
    claims = jwt.decode(Tokens(KEY).issue("alice", hours=2), KEY, algorithms=["HS256"])
    assert abs(claims["exp"] - time.time() - 2 * HOUR) < 5


def test_the_first_key_signs_and_the_others_still_verify() -> None:
    tokens = Tokens(KEY, [OLD])
    assert tokens.verify(signed(OLD)).user_id == "alice"
    assert Tokens(KEY).verify(tokens.issue("alice")).user_id == "alice"


@pytest.mark.parametrize(
    ("scope", "is_admin"),
    [("admin", True), ("read admin", True), ("administrator", False), ("Admin", False), ("", False), ("read", False)],
)
def test_the_scope_must_contain_admin_as_a_word_of_its_own(scope: str, is_admin: bool) -> None:
    assert Tokens(KEY).verify(signed(KEY, scope=scope)).is_admin is is_admin


@pytest.mark.parametrize("claims", [{"iat": "soon"}, {"aud": "somebody"}, {"iss": "somebody"}])
def test_claims_that_the_contract_does_not_name_are_not_judged(claims: dict) -> None:
    assert Tokens(KEY).verify(signed(KEY, **claims)).user_id == "alice"


@pytest.mark.parametrize("token", forged(KEY).values(), ids=forged(KEY).keys())
def test_a_token_that_proves_nothing_is_invalid(token: str) -> None:
    with pytest.raises(InvalidToken):
        Tokens(KEY).verify(token)


@pytest.mark.parametrize("user", ["a", "x" * 64, "爱丽丝", "alice ", "😀" * 64])
def test_a_user_s_id_has_one_to_sixty_four_characters(user: str) -> None:
    assert is_user_id(user)
    assert Tokens(KEY).verify(Tokens(KEY).issue(user)).user_id == user


@pytest.mark.parametrize("user", ["", "x" * 65, "a\0", "a\n", "\ud800", 7, None, True])
def test_what_can_be_no_user_s_id_gets_no_token(user: object) -> None:
    assert not is_user_id(user)
    with pytest.raises(ValueError):
        Tokens(KEY).issue(user)  # type: ignore[arg-type]


def test_an_invalid_token_never_says_why() -> None:
    with pytest.raises(InvalidToken) as caught:
        Tokens(KEY).verify(signed(KEY, exp=0))
    assert str(caught.value) == ""
