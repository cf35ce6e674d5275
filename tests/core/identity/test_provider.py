"""The tokens of an identity provider: what they prove, which prove nothing, and its keys as they come and go."""

import base64
import json
import logging
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from core.identity import provider as provider_module
from core.identity.provider import OUTAGE_SECONDS, IdentityProvider, Rules
from core.tokens import Identity, InvalidToken, Tokens, key_of_pages
from harness.eventually import eventually
from harness.identity_keys import AUDIENCE, ISSUER, SigningKey, key_set, publishing, raw
from tests.core.forged_tokens import signed

SECRET = "a-key-of-the-tests-with-more-than-32-bytes"
RSA, EC, ED = SigningKey("RS256", "r"), SigningKey("ES256", "e"), SigningKey("EdDSA", "d")
FOREIGN = SigningKey("RS256", "r")
HOUR = 3600


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Setup:
    """Tokens by the key set in a file, which can be written anew."""

    def __init__(self, path: Path, *keys: SigningKey, only: bool = False, **rules: Any) -> None:
        self.path, self.clock = path / "keys.json", Clock()
        given = {"issuer": ISSUER, "audiences": (AUDIENCE,), **rules}
        self.provider = IdentityProvider(Rules(str(self.path), **given), clock=self.clock)
        self.tokens = Tokens(SECRET, provider=self.provider, provider_only=only)
        self.publish(*keys)

    def publish(self, *keys: SigningKey) -> None:
        self.path.write_bytes(key_set(*keys))
        assert self.provider.refresh()

    def refuses(self, token: str) -> bool:
        try:
            self.tokens.verify(token)
        except InvalidToken:
            assert self.tokens.known(token) is None
            return True
        return False


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path, RSA, EC, ED)


@pytest.mark.parametrize("key", [RSA, EC, ED], ids=lambda key: key.algorithm)
def test_a_token_of_the_provider_proves_its_user(setup: Setup, key: SigningKey) -> None:
    token = key.token(scope="admin openid", jti="x")
    assert setup.tokens.verify(token) == setup.tokens.known(token) == Identity("alice", False)
    assert setup.tokens.verify_until(token)[1] == jwt.decode(token, options={"verify_signature": False})["exp"]


def test_tokens_under_the_secret_key_count_beside_them(setup: Setup) -> None:
    assert setup.tokens.verify(signed(SECRET, scope="admin")) == Identity("alice", True)
    assert setup.tokens.verify(setup.tokens.issue("bob")) == Identity("bob", False)


def test_where_the_provider_counts_alone_only_the_pages_own_tokens_do_too(tmp_path: Path) -> None:
    setup = Setup(tmp_path, RSA, only=True, admin_claim="scope", admin_value="admin")
    assert setup.refuses(signed(SECRET))
    assert setup.refuses(signed(SECRET, scope="admin"))
    own = setup.tokens.issue("alice")
    assert setup.tokens.verify(own) == Identity("alice", False)
    with pytest.raises(ValueError, match="identity provider"):
        setup.tokens.issue("alice", is_admin=True)
    assert setup.tokens.verify(signed(key_of_pages(SECRET), scope="admin")) == Identity("alice", False)
    assert setup.tokens.verify(RSA.token(scope="admin")) == Identity("alice", True)
    rotated = Tokens("another-key-of-the-tests-of-over-32-bytes", [SECRET], setup.provider, provider_only=True)
    assert rotated.verify(own).user_id == "alice"


def hs256_by(public: bytes) -> str:
    """A token signed with what everybody can read."""
    header, payload = '{"alg": "HS256", "kid": "r"}', json.dumps(claims())
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return raw(header, payload, lambda message: algorithm.sign(message, public))


def claims(**more: object) -> dict[str, object]:
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + HOUR, **more}


def by_rsa(header: str, payload: str) -> str:
    return raw(header, payload, lambda message: RSA.private.sign(message, padding.PKCS1v15(), hashes.SHA256()))


def encoded(form: str) -> bytes:
    public = RSA.private.public_key()
    if form == "jwk":
        return json.dumps(RSA.jwk()).encode()
    if form == "n":
        return base64.urlsafe_b64decode(RSA.jwk()["n"] + "==")
    encoding = serialization.Encoding.PEM if form == "PEM" else serialization.Encoding.DER
    return public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("form", ["PEM", "DER", "jwk", "n"])
def test_the_public_key_signs_nothing(setup: Setup, form: str) -> None:
    assert setup.refuses(hs256_by(encoded(form)))


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS384", "RS512", "PS256", "ES256", "EdDSA", "rs256"])
def test_a_key_is_used_with_its_own_algorithm_alone(setup: Setup, algorithm: str) -> None:
    header = json.dumps({"alg": algorithm, "kid": "r"})
    assert setup.refuses(by_rsa(header, json.dumps(claims())))
    assert setup.refuses(raw(header, json.dumps(claims()), lambda message: b""))
    assert not setup.refuses(by_rsa('{"alg": "RS256", "kid": "r"}', json.dumps(claims())))


@pytest.mark.parametrize("alg", ["[]", "{}", "null", "7", "true", '["RS256"]', '{"RS256": 1}'])
def test_an_algorithm_of_any_shape_is_no_algorithm(setup: Setup, alg: str) -> None:
    assert setup.refuses(by_rsa(f'{{"alg": {alg}, "kid": "r"}}', json.dumps(claims())))


@pytest.mark.parametrize(
    "kid",
    [
        "7",
        "null",
        "true",
        '["r"]',
        '{"r": 1}',
        '""',
        '"R"',
        '"r\\u0000"',
        '"../../../../dev/null"',
        '"/etc/passwd"',
        "\"r' OR '1'='1\"",
        '"https://evil.example/keys"',
        f'"{"r" * 5000}"',
        '"\\ud800"',
        "1e999",
        "[" * 1000 + "]" * 1000,
    ],
)
def test_a_kid_of_any_shape_names_no_key(setup: Setup, kid: str) -> None:
    assert setup.refuses(by_rsa(f'{{"alg": "RS256", "kid": {kid}}}', json.dumps(claims())))


def test_without_a_kid_the_only_key_is_meant(setup: Setup) -> None:
    token = by_rsa('{"alg": "RS256"}', json.dumps(claims()))
    assert setup.refuses(token)
    setup.publish(RSA)
    assert not setup.refuses(token)


@pytest.mark.parametrize("name", ["jku", "x5u"])
def test_addresses_of_keys_in_a_token_are_not_asked(setup: Setup, name: str) -> None:
    with publishing(key_set(FOREIGN)) as publisher:
        assert setup.refuses(FOREIGN.token({name: publisher.url, "kid": "foreign"}))
        assert setup.refuses(FOREIGN.token({name: publisher.url}))
        assert not setup.refuses(RSA.token({name: publisher.url}))
        setup.provider.refresh()
        assert publisher.requested == []


def test_keys_in_a_token_are_not_looked_at(setup: Setup) -> None:
    for headers in ({"jwk": FOREIGN.jwk()}, {"x5c": ["MIIB"]}, {"jwk": FOREIGN.jwk(kid="own"), "kid": "own"}):
        assert setup.refuses(FOREIGN.token(headers))


@pytest.mark.parametrize(
    "given",
    [
        {"iss": None},
        {"iss": ISSUER.rstrip("/")},
        {"iss": ISSUER.upper()},
        {"aud": None},
        {"aud": "other"},
        {"aud": AUDIENCE + "s"},
        {"aud": ["other"]},
        {"aud": {AUDIENCE: 1}},
        {"aud": 7},
        {"aud": []},
        {"exp": None},
        {"exp": 0},
        {"exp": True},
        {"exp": "4102444800"},
        {"exp": int(time.time()) - 1},
        {"nbf": int(time.time()) + HOUR},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 65},
        {"sub": "a\0"},
        {"more": "x" * 8000},
    ],
    ids=" ".join,  # by their names: times differ between the processes that run the tests
)
def test_a_token_that_is_not_for_us_proves_nothing(setup: Setup, given: dict[str, object]) -> None:
    assert setup.refuses(RSA.token(**given))


@pytest.mark.parametrize("iss", ["7", f'["{ISSUER}"]', "null", "{}"])
def test_an_issuer_is_a_string(setup: Setup, iss: str) -> None:
    payload = json.dumps(claims()).replace(f'"{ISSUER}"', iss)
    assert setup.refuses(by_rsa('{"alg": "RS256", "kid": "r"}', payload))


@pytest.mark.parametrize("payload", ["[]", "null", "[" * 3000, '{"exp": 1e999}', '{"exp": NaN}', "\\"])
def test_a_payload_that_is_no_claims_proves_nothing(setup: Setup, payload: str) -> None:
    assert setup.refuses(by_rsa('{"alg": "RS256", "kid": "r"}', payload))


@pytest.mark.parametrize("sub", ["7", "true", '["alice"]', '{"a": 1}', '"\\ud800"'])
def test_a_user_is_a_string(setup: Setup, sub: str) -> None:
    payload = json.dumps(claims()).replace('"alice"', sub)
    assert setup.refuses(by_rsa('{"alg": "RS256", "kid": "r"}', payload))


@pytest.mark.parametrize(
    ("typ", "taken"),
    [("JWT", True), ("at+jwt", True), ("AT+JWT", True), ("application/at+jwt", True)]
    + [(typ, False) for typ in ("logout+jwt", "dpop+jwt", "secevent+jwt", "", 7, ["JWT"])],
)
def test_a_token_made_for_another_purpose_proves_nothing(setup: Setup, typ: object, taken: bool) -> None:
    header = json.dumps({"alg": "RS256", "kid": "r", "typ": typ})
    assert setup.refuses(by_rsa(header, json.dumps(claims()))) is not taken


def test_a_foreign_key_and_a_changed_token_prove_nothing(setup: Setup) -> None:
    assert setup.refuses(FOREIGN.token())
    head, _, signature = RSA.token().split(".")
    assert setup.refuses(".".join((head, RSA.token(sub="mallory").split(".")[1], signature)))
    assert setup.refuses(by_rsa('{"alg": "RS256", "kid": "r", "crit": ["exp"], "exp": 1}', json.dumps(claims())))


def test_one_of_several_audiences_will_do(tmp_path: Path) -> None:
    setup = Setup(tmp_path, RSA, audiences=("shop", "app"))
    assert not setup.refuses(RSA.token(aud=["other", "app"]))
    assert setup.refuses(RSA.token(aud=["other"]))


def test_a_provider_may_name_the_audience_by_another_claim(tmp_path: Path) -> None:
    """As the access tokens of Cognito do."""
    setup = Setup(tmp_path, RSA, audience_claim="client_id")
    assert not setup.refuses(RSA.token(aud=None, client_id=AUDIENCE))
    assert setup.refuses(RSA.token(client_id="other"))
    assert setup.refuses(RSA.token())


@pytest.mark.parametrize(
    ("claim", "value", "given", "is_admin"),
    [
        ("roles", "boss", {"roles": ["staff", "boss"]}, True),
        ("roles", "boss", {"roles": ["bosses"]}, False),
        ("roles", "boss", {"roles": "boss"}, True),
        ("roles", "boss", {"roles": {"boss": True}}, False),
        ("roles", "boss", {"roles": True}, False),
        ("roles", "boss", {}, False),
        ("scope", "shop:admin", {"scope": "openid shop:admin"}, True),
        ("scope", "shop:admin", {"scope": "openid shop:administrator"}, False),
        ("groups", "Shop Admins", {"groups": ["Shop Admins"]}, True),
        ("realm_access.roles", "boss", {"realm_access": {"roles": ["boss"]}}, True),
        ("realm_access.roles", "boss", {"realm_access": ["roles", "boss"]}, False),
        ("realm_access.roles", "boss", {"realm_access": "boss"}, False),
        ("https://shop.example/roles", "boss", {"https://shop.example/roles": ["boss"]}, True),
        ("", "", {"": "", "roles": ["boss"]}, False),
    ],
)
def test_a_named_claim_makes_administrators(
    tmp_path: Path, claim: str, value: str, given: dict[str, object], is_admin: bool
) -> None:
    setup = Setup(tmp_path, RSA, admin_claim=claim, admin_value=value)
    assert setup.tokens.verify(RSA.token(**given)).is_admin is is_admin


def test_a_named_claim_has_the_user_s_id(tmp_path: Path) -> None:
    setup = Setup(tmp_path, RSA, user_claim="user.id")
    assert setup.tokens.verify(RSA.token(user={"id": "bob"}, sub=None)).user_id == "bob"
    assert setup.refuses(RSA.token())


def test_a_provider_s_clock_may_be_a_little_ahead_but_no_token_lasts_longer(setup: Setup) -> None:
    now = int(time.time())
    assert not setup.refuses(RSA.token(nbf=now + 5, iat=now + 5))
    assert setup.refuses(RSA.token(exp=now))


def test_a_long_token_is_remembered_too(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    token = RSA.token(groups=["x" * 40] * 80)
    assert len(token) > 4096
    setup.tokens.verify(token)
    monkeypatch.setattr(jwt, "decode", lambda *arguments, **options: pytest.fail("read again"))
    assert setup.tokens.verify(token) == Identity("alice", False)


def test_a_new_key_counts_beside_the_old_one_and_a_withdrawn_one_no_more(setup: Setup) -> None:
    new = SigningKey("RS256", "new")
    old_token, new_token, own = RSA.token(), new.token(), setup.tokens.issue("bob")
    setup.tokens.verify(old_token)
    setup.tokens.verify(own)
    assert setup.refuses(new_token)
    setup.publish(RSA, EC, ED, new)
    assert setup.tokens.known(old_token)  # nothing is verified again
    assert not setup.refuses(new_token)
    setup.publish(new)
    assert setup.tokens.known(old_token) is None
    assert setup.refuses(old_token)
    assert not setup.refuses(new_token)
    assert not setup.refuses(own)


def test_a_token_verified_while_its_key_goes_is_not_remembered(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = setup.provider.verify

    def late(*arguments: Any) -> Any:
        proven = verify(*arguments)
        setup.publish(EC)
        return proven

    monkeypatch.setattr(setup.provider, "verify", late)
    token = RSA.token()
    setup.tokens.verify(token)
    assert setup.tokens.known(token) is None


@pytest.mark.parametrize("text", ["", "<html>", '{"keys": []}', " " * 300_000])
def test_an_outage_is_survived_by_the_last_keys_for_a_day(
    setup: Setup, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    caplog.set_level(logging.INFO, "seckill")
    token = RSA.token()
    setup.path.write_text(text)
    for _ in range(3):
        assert not setup.provider.refresh()
        setup.clock.now += OUTAGE_SECONDS / 3 - 1
    assert not setup.refuses(token)
    assert [record.levelname for record in caplog.records] == ["WARNING"]  # once for the whole outage
    setup.clock.now += 10
    assert not setup.provider.refresh()
    assert setup.refuses(token)
    assert not setup.refuses(setup.tokens.issue("bob"))
    setup.publish(RSA)
    assert not setup.refuses(token)
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "INFO"]


def test_no_token_counts_before_the_keys_were_read(tmp_path: Path) -> None:
    provider = IdentityProvider(Rules(str(tmp_path / "none"), ISSUER, (AUDIENCE,)))
    tokens = Tokens(SECRET, provider=provider)
    assert not provider.refresh()
    assert not tokens.has_keys()
    with pytest.raises(InvalidToken):
        tokens.verify(RSA.token())
    assert tokens.verify(signed(SECRET)).user_id == "alice"


def test_an_unknown_key_is_asked_for_once_in_an_interval_however_many_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys turn over in the middle of a sale; nobody waits for them."""
    new = SigningKey("ES256", "new")
    monkeypatch.setattr(provider_module, "RETRY_SECONDS", 1.0)
    with publishing(key_set(RSA)) as publisher:
        provider = IdentityProvider(Rules(publisher.url, ISSUER, (AUDIENCE,)))
        tokens = Tokens(SECRET, provider=provider)
        provider.start()
        assert eventually(tokens.has_keys)
        publisher.body = key_set(RSA, new)
        token = new.token()

        def taken() -> bool:
            for kid in range(50):
                with pytest.raises(InvalidToken):
                    tokens.verify(RSA.token({"kid": f"made-up-{kid}"}))
            try:
                return tokens.verify(token).user_id == "alice"
            except InvalidToken:
                return False

        began = time.monotonic()
        assert eventually(taken)
        assert len(publisher.requested) <= 2 + (time.monotonic() - began) / 1.0


def test_a_provider_that_hangs_costs_no_request_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(provider_module, "RETRY_SECONDS", 0.05)
    go_on = threading.Event()
    with publishing(key_set(RSA)) as publisher:
        provider = IdentityProvider(Rules(publisher.url, ISSUER, (AUDIENCE,)))
        tokens = Tokens(SECRET, provider=provider)
        provider.start()
        assert eventually(tokens.has_keys)
        publisher.act = lambda handler: go_on.wait(60)
        fetches = len(publisher.requested)

        def hangs() -> bool:
            with pytest.raises(InvalidToken):
                tokens.verify(RSA.token({"kid": "unknown"}))
            return len(publisher.requested) > fetches

        assert eventually(hangs)
        # The fetch is under way and stays so; tokens are verified and refused meanwhile.
        assert tokens.verify(RSA.token(sub="bob")).user_id == "bob"
        with pytest.raises(InvalidToken):
            tokens.verify(RSA.token({"kid": "unknown"}))
        assert len(publisher.requested) == fetches + 1
        go_on.set()
