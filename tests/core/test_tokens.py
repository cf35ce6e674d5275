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
    assert abs(claims["exp"] - time.time() - 2 * HOUR) < 60


def test_a_token_tells_until_when_it_holds() -> None:
    token = Tokens(KEY).issue("alice", hours=2)
    identity, expires = Tokens(KEY).verify_until(token)
    assert identity == Identity("alice", False)
    assert expires == jwt.decode(token, KEY, algorithms=["HS256"])["exp"]
    with pytest.raises(InvalidToken):
        Tokens(OLD).verify_until(token)


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


def test_a_remembered_token_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, token = Tokens(KEY), signed(KEY, scope="admin")
    assert tokens.known(token) is None
    verified = tokens.verify(token)
    monkeypatch.setattr(jwt, "decode", lambda *arguments, **options: pytest.fail("read again"))
    assert tokens.verify(token) == tokens.known(token) == verified == Identity("alice", True)


def test_a_remembered_token_ends_at_its_expiry() -> None:
    tokens = Tokens(KEY)
    # PyJWT reads the moment as a whole number: 0.9 seconds more are not given.
    for more in (0, 0.9):
        for left in reversed(range(5)):
            expires = int(time.time()) + 2 + more
            token = signed(KEY, exp=expires)
            try:
                tokens.verify(token)
            except InvalidToken:  # this thread may stand still until it has ended
                assert left
                assert time.time() >= int(expires)
            else:
                break
        while time.time() < int(expires):
            began = time.time()
            if tokens.known(token) is None:
                assert time.time() >= int(expires), "forgotten too early"
            else:
                assert began < int(expires), "remembered too long"
            time.sleep(0.005)
        assert tokens.known(token) is None
        with pytest.raises(InvalidToken):
            tokens.verify(token)


def test_another_signature_is_not_taken_for_the_remembered_one() -> None:
    tokens, token = Tokens(KEY), signed(KEY)
    tokens.verify(token)
    head, payload, signature = token.split(".")
    forged_ones = [
        f"{head}.{payload}.",
        f"{head}.{payload}",
        f"{head}.{payload}.{signature[::-1]}",
        f"{head}.{payload}.{signature[:-2]}",
        f"{head}.{payload}.{signature}x",
        f"{token} ",
        signed("another-key-of-the-tests-with-over-32-bytes"),
    ]
    for one in forged_ones:
        assert tokens.known(one) is None
        with pytest.raises(InvalidToken):
            tokens.verify(one)


def test_a_token_that_proves_nothing_is_never_remembered() -> None:
    tokens = Tokens(KEY)
    for token in forged(KEY).values():
        with pytest.raises(InvalidToken):
            tokens.verify(token)
        assert tokens.known(token) is None
    assert tokens.remembered == 0


def test_a_remembered_token_is_one_of_these_keys() -> None:
    token = signed(OLD)
    assert Tokens(KEY, [OLD]).verify(token).user_id == "alice"
    with pytest.raises(InvalidToken):
        Tokens(KEY).verify(token)


def test_a_token_that_is_verified_again_takes_no_more_room() -> None:
    first, again = (Tokens(KEY).issue(user) for user in ("first", "again"))
    tokens = Tokens(KEY, remembered_characters_max=len(first) + 2 * len(again))
    tokens.verify(first)
    for _ in range(10):
        tokens.verify_until(again)
    assert tokens.known(first) is not None


def test_no_more_tokens_are_remembered_than_are_allowed() -> None:
    tokens = Tokens(KEY, remembered_max=5)
    users = [f"user-{number}" for number in range(23)]
    issued = [tokens.issue(user) for user in users]
    for _ in range(2):
        assert [tokens.verify(token).user_id for token in issued] == users
        assert 0 < tokens.remembered <= 5
