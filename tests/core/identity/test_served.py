"""A service with an identity provider: when it is ready, and what its commands say."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from flask import Flask

import config
import serve
from core.identity import kept_keys
from core.identity.kept_keys import KeptKeys
from core.identity.provider import OUTAGE_SECONDS, IdentityProvider, Rules
from core.ops import doctor_identity
from harness.eventually import eventually
from harness.identity_keys import AUDIENCE, ISSUER, SigningKey, key_set, publishing
from harness.service import SECRET, Service
from server.address import Address
from tests.resources.calls import Calls, problem

RSA = SigningKey("RS256", "r")


def identity_settings(source: object, **more: object) -> dict[str, object]:
    return {"IDENTITY_JWKS": str(source), "IDENTITY_ISSUER": ISSUER, "IDENTITY_AUDIENCE": (AUDIENCE,), **more}


def test_a_host_is_ready_once_it_has_read_the_keys_and_stays_so(
    make_app: Callable[..., Flask], sqlite_uri: str, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    call = Calls(make_app(sqlite_uri, **identity_settings(path)))
    provider = call.services.tokens.provider
    assert provider is not None
    assert not provider.refresh()
    assert call.get("/readyz").status_code == 503
    assert call.get("/goods").status_code == 200
    path.write_bytes(key_set(RSA))
    assert provider.refresh()
    assert call.get("/readyz").status_code == 200
    path.unlink()
    assert not provider.refresh()
    assert call.get("/readyz").status_code == 200


def test_the_keys_turn_over_in_a_running_service(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    new = SigningKey("EdDSA", "new")
    with publishing(key_set(RSA)) as publisher:
        service = start_service(sqlite_uri, **identity_settings(publisher.url, IDENTITY_AUDIENCE=AUDIENCE))
        goods = service.create_goods()

        def buy(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return requests.post(f"{service.url}/seckill/{goods}", headers=headers, timeout=20).status_code

        assert buy(RSA.token()) == 201
        publisher.body = key_set(RSA, new)
        assert eventually(lambda: buy(new.token()) == 201)
        assert buy(RSA.token()) == 201
    # The provider is away now.
    assert buy(new.token(sub="bob")) == 201
    assert buy(SigningKey("RS256", "r").token()) == 401
    assert service.log.read_text().count("cannot be read") <= 1


def test_a_worker_that_is_replaced_in_an_outage_begins_with_the_keys_of_the_last(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    with publishing(key_set(RSA)) as publisher:
        service = start_service(sqlite_uri, **identity_settings(publisher.url, IDENTITY_AUDIENCE=AUDIENCE))
        goods = service.create_goods()
    (pid,) = service.worker_pids()
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: service.worker_pids() not in ([], [pid]))
    service.wait_until_ready()
    headers = {"Authorization": f"Bearer {RSA.token()}"}
    assert requests.post(f"{service.url}/seckill/{goods}", headers=headers, timeout=20).status_code == 201


def test_keys_that_are_too_old_or_half_written_are_not_begun_with(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(key_set(RSA))
    memory = memoryview(bytearray(kept_keys.BYTES))
    kept = KeptKeys(memory)
    rules = Rules(str(tmp_path / "keys.json"), ISSUER, (AUDIENCE,))

    def begun(now: float) -> int:
        later = IdentityProvider(rules, kept, clock=lambda: now)
        later.begin_with_kept()
        return len(later.keys)

    assert begun(0) == 0
    assert IdentityProvider(rules, kept, clock=lambda: 100.0).refresh()
    assert begun(100 + OUTAGE_SECONDS - 1) == 1
    assert begun(100 + OUTAGE_SECONDS) == 0
    memory[60] ^= 1
    assert begun(101) == 0


def test_a_refusal_says_nothing_of_the_reason(make_app: Callable[..., Flask], sqlite_uri: str, tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(key_set(RSA))
    call = Calls(make_app(sqlite_uri, **identity_settings(tmp_path / "keys.json")))
    assert call.services.tokens.provider is not None
    call.services.tokens.provider.refresh()
    texts = set()
    for token in (RSA.token(aud="other"), RSA.token(exp=0), RSA.token({"kid": "x"}), "x"):
        answer = call.get("/orders", headers={"Authorization": f"Bearer {token}"})
        texts.add(json.dumps(problem(answer, 401, "unauthenticated") | {"request_id": ""}))
    assert len(texts) == 1


def test_the_doctor_reads_the_keys(tmp_path: Path) -> None:
    def found(**settings: object) -> tuple[str, str]:
        finding = doctor_identity.examine(config.load(SECRET_KEY=SECRET, **settings))
        return finding.state.value, finding.found

    assert found() == ("ok", "tokens under SECRET_KEY alone")
    path = tmp_path / "keys.json"
    assert found(**identity_settings(path))[0] == "problem"
    path.write_text('{"keys": []}')
    assert "no public key" in found(**identity_settings(path))[1]
    path.write_bytes(key_set(RSA))
    assert found(**identity_settings(path)) == (
        "ok",
        "1 keys for RS256; beside tokens under SECRET_KEY, with no administrators",
    )
    with publishing(key_set(RSA)) as publisher:
        state, text = found(
            **identity_settings(
                publisher.url, IDENTITY_ONLY=True, IDENTITY_ADMIN_CLAIM="roles", IDENTITY_ADMIN_VALUE="boss"
            )
        )
    assert (state, text) == ("ok", "1 keys for RS256; its tokens alone, with some administrators")


@pytest.mark.parametrize("only", [True, False])
def test_the_greeting_offers_no_administrator_s_line_where_only_the_provider_names_them(only: bool) -> None:
    settings = config.load(SECRET_KEY=SECRET, **identity_settings("keys.json", IDENTITY_ONLY=only))
    greeting = serve.greeting(Address("127.0.0.1", 8000, 1, 1), settings)
    assert ("stock_delta" in greeting) is not only
    assert "Buy a unit" in greeting
