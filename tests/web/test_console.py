"""The console: its page, its vendored libraries, and, under Node, its modules that need no browser."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from iso4217 import Currency

import app as application
from config import Settings
from resources.http.fields import CURRENCIES
from web.assets import WEB, asset_url

CONSOLE = WEB / "console"
TESTS = Path(__file__).parent / "console"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[FlaskClient]:
    uri = f"sqlite:///{tmp_path / 'sale.db'}"
    settings = Settings(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY="k" * 32, RATE_LIMITS=False)
    with application.create_app(settings).test_client() as client:
        yield client


@pytest.mark.parametrize("address", ["/admin", "/admin/", "/admin/sales/1", "/admin/sales/1/report", "/admin/%2e%2e/x"])
def test_every_address_of_the_console_is_the_same_page(browser: FlaskClient, address: str) -> None:
    page = browser.get(address)

    assert page.status_code == 200
    assert page.mimetype == "text/html"
    assert 'id="console"' in page.text
    assert page.text == browser.get("/admin").text


def test_page_names_its_language_and_its_files(browser: FlaskClient) -> None:
    english = browser.get("/admin", headers={"Accept-Language": "en"})
    chinese = browser.get("/admin", headers={"Accept-Language": "zh-CN,en;q=0.5"})

    assert '<html lang="en">' in english.text
    assert '<html lang="zh">' in chinese.text
    assert english.headers["Vary"] == "Accept-Language"
    for named in re.findall(r'(?:href|src)="(/static/[^"]+)"', english.text):
        assert browser.get(named).status_code == 200, named
    assert asset_url("console/app.js") in english.text


def test_page_may_run_no_script_or_style_of_its_own(browser: FlaskClient) -> None:
    page = browser.get("/admin")

    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page.text)


def test_page_that_is_known_is_not_sent_again(browser: FlaskClient) -> None:
    first = browser.get("/admin")
    again = browser.get("/admin", headers={"If-None-Match": first.headers["ETag"]})

    assert again.status_code == 304
    assert again.data == b""
    assert (
        browser.get("/admin", headers={"If-None-Match": first.headers["ETag"], "Accept-Language": "zh"}).status_code
        == 200
    )


def test_modules_set_no_html_from_text() -> None:
    for module in CONSOLE.rglob("*.js"):
        text = module.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            module
        )


@needs_node
def test_texts_are_in_both_languages_and_all_of_them_are_used() -> None:
    script = "import { PARTS } from './web/console/texts/index.js'; console.log(JSON.stringify(PARTS))"
    parts = json.loads(_node("--input-type=module", "-e", script))
    names = [name for part in parts.values() for name in part]
    sources = "\n".join(path.read_text() for path in CONSOLE.rglob("*.js") if path.parent.name != "texts")
    # Keys that are put together: the part ahead of `${`.
    prefixes = (*re.findall(r"`([a-z][\w.]*)\$\{", sources), "sale.add", "sale.withdraw", "conflict.")

    assert len(names) == len(set(names)), "a key is in two files"
    named = re.findall(
        r"""\bt\("([^"]+)"|(?:label|help|empties): "([^"]+)"|"((?:sales|coupon|method|webhook)\.\w+)\"""", sources
    )
    for name in {name for found in named for name in found if name}:
        assert name in names, f"{name} has no text"
    for part in parts.values():
        for name, texts in part.items():
            assert len(texts) == 2, name
            assert all(texts), name
            assert set(re.findall(r"\{\w+\}", texts[0])) == set(re.findall(r"\{\w+\}", texts[1])), name
            assert f'"{name}"' in sources or name.startswith(prefixes), f"{name} is not used"


@needs_node
def test_amounts_have_the_digits_of_their_currency() -> None:
    expected = {currency.code: currency.exponent for currency in Currency if currency.code in CURRENCIES}
    script = (
        "import { minorDigits } from './web/console/format.js';"
        f"const digits = {json.dumps(sorted(expected))}.map((code) => [code, minorDigits(code)]);"
        "console.log(JSON.stringify(Object.fromEntries(digits)));"
    )

    assert json.loads(_node("--input-type=module", "-e", script)) == expected


@needs_node
def test_modules_under_node() -> None:
    _node("--test", *sorted(str(path) for path in TESTS.glob("*.test.mjs")), TZ="Asia/Shanghai")


def test_vendored_libraries_are_listed_with_their_licences() -> None:
    listed = (WEB / "vendor" / "README.md").read_text()
    for folder in (WEB / "vendor").iterdir():
        if folder.is_dir():
            assert f"`{folder.name}`" in listed
            assert (folder / "LICENSE").read_text()
            for module in folder.glob("*.js"):
                assert not re.search(r"""(?:from|import)\s*\(?["'](?!\./)""", module.read_text()), module


def _node(*arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["node", *arguments],
        cwd=WEB.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
