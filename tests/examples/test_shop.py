"""The shop of another origin: its tokens are the service's, and nobody else gets one."""

from collections.abc import Callable, Iterator

import pytest
import requests

from core.tokens import Tokens
from examples.shop import Shop
from harness.service import SECRET, Service
from harness.serving import serving


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = Shop(0, "http://127.0.0.1:1", SECRET)
    with serving(server):
        yield server


def signed_in(shop: Shop, buyer: str) -> requests.Session:
    session = requests.Session()
    session.headers["Origin"] = shop.url
    answer = session.post(f"{shop.url}/sign-in", data={"name": buyer}, timeout=60)
    assert (answer.status_code, answer.url) == (200, f"{shop.url}/")
    return session


def token_of(session: requests.Session, shop: Shop) -> str:
    return session.post(f"{shop.url}/token", timeout=60).json()["token"]


def test_a_buyer_s_token_names_them_to_the_service(shop: Shop) -> None:
    token = token_of(signed_in(shop, "alice"), shop)
    identity = Tokens(SECRET).verify(token)
    assert (identity.user_id, identity.is_admin) == ("alice", False)


def test_who_is_not_signed_in_gets_none(shop: Shop) -> None:
    assert requests.post(f"{shop.url}/token", headers={"Origin": shop.url}, timeout=60).json() == {"token": None}


@pytest.mark.parametrize("path", ["/sign-in", "/token"])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
def test_another_site_can_neither_sign_in_nor_read_a_token(shop: Shop, path: str, origin: str | None) -> None:
    session = signed_in(shop, "alice")
    session.headers["Origin"] = origin  # type: ignore[assignment]  # None leaves it out
    assert session.post(f"{shop.url}{path}", data={"name": "bob"}, timeout=60).status_code == 403


def test_its_pages_allow_the_service_and_nothing_unsafe(shop: Shop) -> None:
    for path in ("/", "/shop.js", "/shop.css"):
        answer = requests.get(f"{shop.url}{path}", timeout=60)
        policy = answer.headers["Content-Security-Policy"]
        assert answer.status_code == 200
        assert f"script-src 'self' {shop.service};" in policy
        assert "unsafe" not in policy
        assert "https://seckill.example" not in answer.text
    assert requests.get(f"{shop.url}/../shop.py", timeout=60).status_code == 404


def test_the_service_lets_its_page_buy(start_service: Callable[..., Service], sqlite_uri: str, shop: Shop) -> None:
    service = start_service(sqlite_uri, CORS_ORIGINS=shop.url)
    goods = service.create_goods()
    preflight_headers = {"Origin": shop.url, "Access-Control-Request-Method": "POST"}
    preflight_headers["Access-Control-Request-Headers"] = "authorization,content-type,idempotency-key"
    preflight = requests.options(f"{service.url}/seckill/{goods}", headers=preflight_headers, timeout=60)
    assert preflight.headers["Access-Control-Allow-Origin"] == shop.url
    assert "idempotency-key" in preflight.headers["Access-Control-Allow-Headers"].lower()
    token = token_of(signed_in(shop, "alice"), shop)
    headers = {"Origin": shop.url, "Authorization": f"Bearer {token}"}
    bought = requests.post(f"{service.url}/seckill/{goods}", json={}, headers=headers, timeout=60)
    assert (bought.status_code, bought.headers["Access-Control-Allow-Origin"]) == (201, shop.url)
