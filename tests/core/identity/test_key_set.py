"""Which keys of a set tokens are verified by, and which texts are no key set."""

import json

import pytest

from core.identity import key_set
from core.identity.key_set import MAX_BYTES, MAX_KEYS, UnusableKeys
from harness import identity_keys
from harness.identity_keys import SigningKey

RSA = SigningKey("RS256", "r")
KEYS = [RSA, SigningKey("ES256", "e"), SigningKey("EdDSA", "d")]


def of(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def test_keys_of_the_three_algorithms_are_found_by_their_names() -> None:
    keys = key_set.read(identity_keys.key_set(*KEYS))
    assert keys.algorithms == ["ES256", "EdDSA", "RS256"]
    for key in KEYS:
        assert keys.find(key.kid, key.algorithm) is not None
        assert keys.find(None, key.algorithm) is None  # which of them?
    assert keys.find("r", "ES256") is None
    assert keys.find("other", "RS256") is None


def test_a_token_that_names_no_key_means_the_only_one() -> None:
    for key in (RSA, SigningKey("RS256", None, RSA.private)):
        keys = key_set.read(identity_keys.key_set(key))
        assert keys.find(None, "RS256") is not None
        assert keys.find(None, "ES256") is None
        assert (keys.find("r", "RS256") is not None) is (key is RSA)


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "r", "alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "r", "alg": "RS256"},
        RSA.jwk(alg="HS256"),
        RSA.jwk(alg="RS512"),
        RSA.jwk(alg="none"),
        RSA.jwk(use="enc"),
        RSA.jwk(key_ops=["encrypt"]),
        RSA.jwk(key_ops="verify"),
        RSA.jwk(d="AQAB"),
        RSA.jwk(kty="EC", crv="P-256"),
        RSA.jwk(kty=["RSA"]),
        RSA.jwk(kty={}),
        RSA.jwk(n=None),
        RSA.jwk(n=7),
        RSA.jwk(n="***"),
        RSA.jwk(e="AQ"),
        RSA.jwk(e="_" * 400),
        RSA.jwk(kid=7),
        RSA.jwk(kid=["r"]),
        RSA.jwk(kid="r" * 257),
        SigningKey("RS256", "r", identity_keys.made("RS256", 1024)).jwk(),
        KEYS[1].jwk(crv="P-521"),
        KEYS[1].jwk(x="AAAA"),
        KEYS[1].jwk(crv=["P-256"]),
        KEYS[2].jwk(crv="Ed448"),
        KEYS[2].jwk(crv="X25519"),
        "text",
        None,
        [],
    ],
)
def test_a_key_that_is_not_fit_is_left_out(jwk: object) -> None:
    with pytest.raises(UnusableKeys, match="no public key"):
        key_set.read(of(jwk))
    assert len(key_set.read(of(jwk, RSA.jwk(kid="good")))) == 1


def test_of_two_keys_with_one_name_the_first_counts() -> None:
    other = SigningKey("RS256", "r")
    both, first = (key_set.read(identity_keys.key_set(*keys)) for keys in ([RSA, other], [RSA]))
    assert len(both) == 1
    assert both.has_all_of(first)
    assert first.has_all_of(both)


def test_a_key_that_goes_or_is_another_under_its_name_is_missed() -> None:
    before = key_set.read(identity_keys.key_set(*KEYS))
    assert key_set.read(identity_keys.key_set(*KEYS, SigningKey("ES256", "new"))).has_all_of(before)
    assert not key_set.read(identity_keys.key_set(*KEYS[1:])).has_all_of(before)
    assert not key_set.read(identity_keys.key_set(SigningKey("RS256", "r"), *KEYS[1:])).has_all_of(before)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no JSON Web Key Set"),
        (b"null", "no JSON Web Key Set"),
        (b'{"keys": {}}', "no JSON Web Key Set"),
        (b'{"keys": []}', "no public key"),
        (b" " * (MAX_BYTES + 1), "KiB"),
        (of(*[{}] * (MAX_KEYS + 1)), "keys"),
    ],
)
def test_what_is_no_key_set_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(UnusableKeys, match=why):
        key_set.read(text)
