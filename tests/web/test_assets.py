"""Static files: their addresses, what may be kept of them, and that nothing else is served."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from flask.testing import FlaskClient

from web import assets
from web.assets import asset_url

ORIGIN = "https://shop.example"
CLIENT = "/static/client/v1/seckill.js"
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
def browser(sqlite_app: Flask) -> FlaskClient:
    return sqlite_app.test_client()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files in place of web/."""
    monkeypatch.setattr(assets, "WEB", tmp_path)
    cached = (assets.assets, assets.version)
    for made_once in cached:
        made_once.cache_clear()
        monkeypatch.setattr(assets, made_once.__name__, made_once.__wrapped__)
    return tmp_path


def put(folder: Path, path: str, content: str = "x") -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(content)


def test_a_versioned_address_may_be_kept_for_ever(browser: FlaskClient) -> None:
    answer = browser.get(asset_url("client/seckill.js"))
    assert answer.status_code == 200
    assert b"createClient" in answer.data
    assert answer.content_type == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_every_file_is_found_at_the_address_that_is_made_for_it(browser: FlaskClient) -> None:
    for path, asset in assets.assets().items():
        assert browser.get(asset_url(path)).data == asset.body, path


def test_the_client_is_at_a_fixed_address_for_minutes(browser: FlaskClient) -> None:
    answer = browser.get(CLIENT)
    assert (answer.status_code, answer.content_type) == (200, "text/javascript; charset=utf-8")
    assert answer.headers["Cache-Control"] == "public, max-age=300"


def test_the_client_comes_whole(browser: FlaskClient) -> None:
    """A browser that joined a file it had kept with a newer one could miss what one expects of the other."""
    for address in (CLIENT, asset_url("client/seckill.js")):
        assert not re.search(r"^import|^export .* from", browser.get(address).text, flags=re.MULTILINE)


def test_the_element_with_its_client_has_at_most_12_kilobytes(browser: FlaskClient) -> None:
    answer = browser.get("/static/client/v1/flash-sale.js", headers=GZIP)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.data) <= 12_000
    assert b"createClient" in gzip.decompress(answer.data)
    assert b"import " not in gzip.decompress(answer.data)


def test_the_version_changes_with_the_content_of_any_file(folder: Path) -> None:
    put(folder, "client/a.js", "1")
    put(folder, "console/b.css", "1")
    before = asset_url("client/a.js")
    put(folder, "console/b.css", "2")
    assert asset_url("client/a.js") != before


def test_another_version_is_sent_what_is_there_but_must_not_keep_it(browser: FlaskClient) -> None:
    answer = browser.get(f"/static/{'0' * 16}/client/seckill.js")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, no-cache"


def test_an_address_of_no_file_is_an_error_where_it_is_made(sqlite_app: Flask) -> None:
    with pytest.raises(LookupError):
        asset_url("client/none.js")
    with sqlite_app.app_context():
        assert render_template_string("{{ asset_url('client/seckill.js') }}") == asset_url("client/seckill.js")


def test_a_browser_that_has_a_file_is_not_sent_it_again(browser: FlaskClient) -> None:
    for headers in ({}, GZIP):
        first = browser.get(CLIENT, headers=headers)
        again = browser.get(CLIENT, headers={**headers, "If-None-Match": f"W/{first.headers['ETag']}"})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["Access-Control-Allow-Origin"] == "*"
        other = browser.get(CLIENT, headers={**headers, "If-None-Match": '"other"'})
        assert other.status_code == 200


def test_files_are_packed_for_those_who_take_it(folder: Path, sqlite_app: Flask) -> None:
    put(folder, "client/long.js", "// a line\n" * 100)
    put(folder, "client/short.js", "1")
    browser = sqlite_app.test_client()
    plain = browser.get(asset_url("client/long.js"))
    packed = browser.get(asset_url("client/long.js"), headers=GZIP)
    refused = browser.get(asset_url("client/long.js"), headers={"Accept-Encoding": "gzip;q=0"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < len(plain.data)
    assert gzip.decompress(packed.data) == plain.data == refused.data
    # A cache that holds one of them must not take it for the other.
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert "Content-Encoding" not in browser.get(asset_url("client/short.js"), headers=GZIP).headers


@pytest.mark.parametrize("origins", [(), (ORIGIN,)])
def test_pages_of_every_origin_may_load_files(
    make_app: Callable[..., Flask], sqlite_uri: str, origins: tuple[str, ...]
) -> None:
    browser = make_app(sqlite_uri, CORS_ORIGINS=origins).test_client()
    for origin in (ORIGIN, "https://other.example"):
        answer = browser.get(CLIENT, headers={"Origin": origin})
        assert answer.headers.getlist("Access-Control-Allow-Origin") == ["*"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


@pytest.mark.parametrize(
    "path",
    [
        "assets.py",
        "../config.py",
        "../instance/secret_key",
        "%2e%2e/config.py",
        "client/../assets.py",
        "client/package.json",
        "client/README.md",
        "client//seckill.js",
        "client/seckill.js/",
        "client/seckill.js%00",
        "client\\seckill.js",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_served(browser: FlaskClient, path: str) -> None:
    for address in (f"/static/{assets.version()}/{path}", f"/static/client/v1/{path}"):
        answer = browser.get(address)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


def test_files_of_private_folders_hidden_ones_and_links_are_not_served(folder: Path, tmp_path_factory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.js"
    outside.write_text("secret")
    for path in (
        "a/templates/x.js",
        "client/node_modules/x.js",
        ".git/x.js",
        "a/.x.js",
        "a/x.py",
        "a/x.html",
        "a/seen.js",
    ):
        put(folder, path)
    (folder / "a" / "link.js").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent)
    assert set(assets.assets()) == {"a/seen.js"}


def test_only_the_client_is_at_the_fixed_address(folder: Path, sqlite_app: Flask) -> None:
    put(folder, "console/console.js")
    put(folder, "client/seckill.js")
    browser = sqlite_app.test_client()
    assert browser.get(CLIENT).status_code == 200
    assert browser.get("/static/client/v1/console/console.js").status_code == 404
    assert browser.get("/static/client/v2/seckill.js").status_code == 404


def test_a_file_is_for_every_origin_once_whether_the_api_is_for_it_or_not(
    make_app: Callable[..., Flask], sqlite_uri: str
) -> None:
    client = make_app(sqlite_uri, CORS_ORIGINS="https://shop.example").test_client()
    for origin in ("https://shop.example", "https://other.example"):
        answer = client.get("/static/client/v1/seckill.js", headers={"Origin": origin})
        assert answer.headers.getlist("Access-Control-Allow-Origin") == ["*"]
