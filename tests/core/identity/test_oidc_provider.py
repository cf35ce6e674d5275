"""A real OpenID provider: a buyer signs in there, and buys with the token that comes of it, over HTTP."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from config import ROOT
from harness.database_server import free_port
from harness.eventually import eventually
from harness.service import Service

CLIENT = "shop-app"
CALLBACK = "https://shop.example/callback"


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[str]:
    """The address of a running provider."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    operator = json.dumps({"sub": "operator", "realm_access": {"roles": ["shop-admin"]}})
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--user", "alice"]
    with (tmp_path / "provider.log").open("wb") as log:
        process = subprocess.Popen([*command, "--user-claims", operator], stdout=log, stderr=log)

    def answers() -> bool:
        assert process.poll() is None, (tmp_path / "provider.log").read_text()
        try:
            return requests.get(f"{url}/.well-known/openid-configuration", timeout=5).ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    try:
        assert eventually(answers)
        yield url
    finally:
        process.terminate()
        process.wait()


def sign_in(issuer: str, user: str, client: str = CLIENT) -> str:
    """The token that the provider issues to `user`, by the authorization code flow."""
    found = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=20).json()
    parameters = {
        "client_id": client,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
        "state": "s",
    }
    sent_back = requests.post(
        found["authorization_endpoint"], params=parameters, data={"sub": user}, allow_redirects=False, timeout=20
    )
    code = parse_qs(urlsplit(sent_back.headers["Location"]).query)["code"][0]
    answer = requests.post(
        found["token_endpoint"],
        data={"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK},
        auth=(client, "secret"),
        timeout=20,
    )
    assert answer.ok, answer.text
    return answer.json()["id_token"]


def test_the_lines_of_the_document_sign_in_and_buy(
    start_service: Callable[..., Service], sqlite_uri: str, issuer: str
) -> None:
    service = start_service(
        sqlite_uri, IDENTITY_JWKS=f"{issuer}/jwks", IDENTITY_ISSUER=issuer, IDENTITY_AUDIENCE=CLIENT
    )
    item = service.create_goods()
    page = (ROOT / "docs" / "identity.md").read_text()
    (block,) = re.findall(r"^```sh\n(PROVIDER=.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    script = block.replace("http://127.0.0.1:9400", issuer)
    script = script.replace("http://127.0.0.1:8000/seckill/1", f"{service.url}/seckill/{item}")
    subprocess.run(["bash", "-euc", script.replace("curl ", "curl -f ")], check=True, timeout=60)
    assert service.goods(item)["sold"] == 1


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_who_signed_in_at_the_provider_buys_and_sells(
    start_service: Callable[..., Service], sqlite_uri: str, issuer: str
) -> None:
    published = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=20).json()
    service = start_service(
        sqlite_uri,
        workers=2,
        IDENTITY_JWKS=published["jwks_uri"],
        IDENTITY_ISSUER=published["issuer"],
        IDENTITY_AUDIENCE=CLIENT,
        IDENTITY_ADMIN_CLAIM="realm_access.roles",
        IDENTITY_ADMIN_VALUE="shop-admin",
        IDENTITY_ONLY="on",
    )
    item = {"name": "item", "currency": "CNY", "price": 100, "stock": 10}
    alice, operator = sign_in(issuer, "alice"), sign_in(issuer, "operator")

    def post(path: str, token: str) -> requests.Response:
        return requests.post(
            service.url + path, json=item if path == "/goods" else {}, headers=bearer(token), timeout=20
        )

    made = post("/goods", operator)
    assert made.status_code == 201, made.text
    assert post("/goods", alice).status_code == 403
    path = f"/seckill/{made.json()['id']}"
    bought = post(path, alice)
    assert (bought.status_code, bought.json()["user_id"]) == (201, "alice")
    assert post(path, sign_in(issuer, "alice", client="other-app")).status_code == 401
    assert post("/goods", service.token("operator", admin=True)).status_code == 401
    session = requests.post(f"{service.url}/shop/session", headers=bearer(alice), timeout=20, allow_redirects=False)
    assert session.status_code < 400, session.text
    orders = requests.get(f"{service.url}/shop/orders", cookies=session.cookies, timeout=20)
    assert bought.json()["order_no"] in orders.text
    stale = "seckill_identity_stale_workers 0.0"
    assert stale in requests.get(f"{service.url}/metrics", timeout=20).text
