"""The pages behind deploy/nginx.conf, on SQLite and on MySQL: files are sent by nginx itself, and forms work."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import requests

from harness.database_server import DatabaseServer
from harness.kinds import on
from harness.nginx import Nginx
from harness.service import PATIENT, Service
from tests.web.browsing import parsed
from web.assets import asset_url, assets

pytestmark = pytest.mark.nginx

StartNginx = Callable[..., Nginx]
StartService = Callable[..., Service]
ORIGIN = "https://shop.example"
HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module", params=["sqlite", on("mysql")])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that the tests of this file share, once on SQLite and once on MySQL."""
    folder = tmp_path_factory.mktemp("service")
    with ExitStack() as stack:
        uri = f"sqlite:///{folder}/seckill.db"
        if request.param == "mysql":
            server: DatabaseServer = request.getfixturevalue("mysql")
            uri = stack.enter_context(server.throwaway_database())
        running = Service(uri, folder / "log", PROXIES=1, CORS_ORIGINS=ORIGIN, fork=True, **PATIENT)
        stack.callback(running.stop)
        yield running


def fetched(url: str, encoding: str = "identity", **headers: str) -> tuple[requests.Response, bytes]:
    """An answer, and its body as it was sent."""
    answer = requests.get(url, headers={"Accept-Encoding": encoding, **headers}, stream=True, timeout=20)
    return answer, answer.raw.read(decode_content=False)


def test_files_are_sent_without_the_service_once_it_was_asked(
    start_nginx: StartNginx, start_service: StartService, sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri)
    front = start_nginx(service.port)
    path = asset_url("style.css")
    before = {encoding: fetched(front.url + path, encoding) for encoding in ("identity", "gzip")}
    service.stop()
    for encoding, (first, body) in before.items():
        answer, again = fetched(front.url + path, encoding)
        assert (answer.status_code, again) == (200, body)
        for name in ("Cache-Control", "Content-Type", "ETag", "Access-Control-Allow-Origin", "X-Content-Type-Options"):
            assert answer.headers[name] == first.headers[name]
        assert answer.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert gzip.decompress(before["gzip"][1]) == before["identity"][1] == assets()["style.css"].body
    assert fetched(front.url + "/static/client/v1/seckill.js")[0].status_code == 503  # never asked for


def test_a_file_is_kept_for_pages_of_every_origin(start_nginx: StartNginx, service: Service) -> None:
    front = start_nginx(service.port)
    path = asset_url("client/seckill.js")
    for origin in ({"Origin": ORIGIN}, {}, {"Origin": "https://other.example"}):
        answer, _ = fetched(front.url + path, **origin)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_file_under_another_version_is_not_kept(
    start_nginx: StartNginx, start_service: StartService, sqlite_uri: str
) -> None:
    # While workers are replaced, an older page may ask for it: it must not be given the newer file for ever.
    service = start_service(sqlite_uri)
    front = start_nginx(service.port)
    path = f"/static/{'0' * 16}/style.css"
    assert fetched(front.url + path)[0].status_code == 200
    service.stop()
    assert fetched(front.url + path)[0].status_code == 503


@pytest.mark.parametrize(
    "path", ["app.py", "storefront/templates/storefront/base.html", "../config.py", "session.py", "..%2fapp.py"]
)
def test_nothing_else_of_the_folder_is_sent(start_nginx: StartNginx, service: Service, path: str) -> None:
    front = start_nginx(service.port)
    with requests.Session() as session:
        request = requests.Request("GET", front.url).prepare()
        request.url = f"{front.url}{asset_url('style.css').removesuffix('style.css')}{path}"
        assert session.send(request, timeout=20).status_code in (400, 404)


def test_a_visitor_buys_by_forms_through_nginx(start_nginx: StartNginx, service: Service) -> None:
    front = start_nginx(service.port)
    item = service.create_goods()
    own = {"Origin": front.url, **HTML}
    with requests.Session() as visitor:
        visitor.headers.update(own)
        signed_in = {"token": service.token("alice"), "next": f"/shop/{item}"}
        assert visitor.post(f"{front.url}/shop/session", signed_in, timeout=20).ok
        page = visitor.get(f"{front.url}/shop/{item}", timeout=20)
        form = parsed(page.text).one("form", id="buy")
        fields = {field["name"]: field.attributes.get("value", "") for field in form.all("input")}
        refused = visitor.post(
            f"{front.url}/shop/{item}/buy", fields, headers={"Origin": "http://evil.example"}, timeout=20
        )
        assert refused.status_code == 403
        bought = visitor.post(f"{front.url}/shop/{item}/buy", fields, timeout=20)
        assert parsed(bought.text).one(data_code="bought")
    assert service.goods(item)["sold"] == 1


def test_a_page_of_one_visitor_is_compressed(start_nginx: StartNginx, service: Service) -> None:
    front = start_nginx(service.port)
    with requests.Session() as visitor:
        visitor.post(f"{front.url}/shop/session", {"token": service.token("alice")}, headers=HTML, timeout=20)
        page = visitor.get(f"{front.url}/", headers=HTML, timeout=20)
    assert page.headers["Content-Encoding"] == "gzip"
    assert page.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
