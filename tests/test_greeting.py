"""What `make run` prints works when it is pasted: in any folder, and where the environment names a proxy."""

import contextlib
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

import config
import serve
from core.ops import command_line
from core.tokens import Tokens
from harness.eventually import eventually
from harness.service import SECRET, Service, environment
from server.address import Address

PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@contextlib.contextmanager
def silent_proxy() -> Iterator[tuple[dict[str, str], Callable[[], bool]]]:
    """A proxy that takes connections and says nothing: the environment that names it, and whether somebody came."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)

        def was_used() -> bool:
            try:
                proxy.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        # Nothing is excepted from it, as on a host of which nobody has thought of loopback.
        yield {**dict.fromkeys(PROXIES, address), "no_proxy": "", "NO_PROXY": ""}, was_used


@pytest.mark.parametrize(("provider", "count", "status"), [("test", 3, "paid"), ("webhook", 2, "pending")])
def test_the_greeting_comes_and_its_lines_work_beside_a_proxy(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path, provider: str, count: int, status: str
) -> None:
    with silent_proxy() as (proxy, was_used):
        service = start_service(sqlite_uri, process_environment=proxy, PAYMENT_PROVIDER=provider)
        assert eventually(lambda: "Ctrl-C" in service.log.read_text())
        assert not was_used()
        lines = re.findall(r"^  (curl .*)$", service.log.read_text(), flags=re.MULTILINE)
        for line in lines:
            pasted = subprocess.run(
                ["bash", "-c", f"{line} -sSf"], env=service.environment, cwd=tmp_path, timeout=120, check=False
            )
            assert pasted.returncode == 0, line
        assert len(lines) == count
        assert not was_used()
    (order,) = requests.get(f"{service.url}/orders", headers=service.headers("alice"), timeout=20).json()["items"]
    assert order["status"] == status


CLIENTS = {
    "requests": "import requests; print(requests.get(sys.argv[1], timeout=60).status_code)",
    "urllib": "import urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=60).status)",
    "curl": "import os; os.execlp('curl', *'curl -sSf -m 60 -o /dev/null -w %{http_code}'.split(), sys.argv[1])",
}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=list(CLIENTS))
def test_a_program_of_ours_reaches_loopback_beside_a_proxy_by_whatever_client(
    start_service: Callable[..., Service], sqlite_uri: str, client: str
) -> None:
    service = start_service(sqlite_uri)
    with silent_proxy() as (proxy, was_used):
        program = f"import sys; from server.loopback import reach_directly; reach_directly(); {client}"
        done = subprocess.run(
            [sys.executable, "-c", program, f"{service.url}/healthz"],
            env=service.environment | proxy,
            cwd=config.ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.stdout.strip(), was_used()) == ("200", False), done.stderr


@pytest.mark.parametrize(
    "start",
    [
        *(f"load/{name}.py" for name in ("__main__", "locustfile", "slow_clients", "watchers")),
        *(f"bench/{name}.py" for name in ("__main__", "frozen", "profile")),
    ],
)
def test_each_program_that_speaks_to_this_host_does_so(start: str) -> None:
    assert re.search(r"^(    )?reach_directly\(\)$", (config.ROOT / start).read_text(), flags=re.MULTILINE)


def test_what_is_excepted_already_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from server.loopback import reach_directly

    monkeypatch.setenv("NO_PROXY", "")
    for given, expected in [
        ("db.example, 10.0.0.1", "db.example,10.0.0.1,localhost,127.0.0.1,::1,127.0.0.0/8"),
        ("*", "*"),
    ]:
        monkeypatch.setenv("no_proxy", given)
        reach_directly()
        reach_directly()
        assert os.environ["no_proxy"] == expected


def test_on_a_server_s_database_the_printed_tokens_are_made_in_any_folder(tmp_path: Path) -> None:
    uri = "mysql+mysqlconnector://user@127.0.0.1:1/shop"
    settings = config.load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET)
    greeting = serve.greeting(Address("127.0.0.1", 8000, 1, 1), settings)
    (tmp_path / "app.py").write_text("raise SystemExit('the application of somebody else')")
    identities = []
    for header in re.findall(r'-H ("Authorization: Bearer .*?\)")', greeting):
        made = subprocess.run(
            ["bash", "-c", f"echo {header}"],
            env=environment(uri),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        identities.append(Tokens(SECRET).verify(made.stdout.split()[-1]))
    assert [(who.user_id, who.is_admin) for who in identities] == [("alice", False), ("operator", True)]


def test_a_line_works_where_folders_have_blanks_and_quotes_in_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / 'the shop\'s "own" $HOME'
    project.mkdir()
    (project / "app.py").write_text(
        "import click, flask\n"
        "def create_app():\n"
        "    app = flask.Flask(__name__)\n"
        "    app.cli.command('where')(lambda: click.echo(__file__))\n"
        "    return app\n"
    )
    monkeypatch.setattr(command_line, "ROOT", project)
    ran = subprocess.run(
        ["bash", "-c", command_line.flask_line("where")],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.strip() == str(project / "app.py")


@pytest.mark.long
def test_a_mend_that_is_printed_works_in_any_folder(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'services.db'}"
    for command in ("audit", "doctor"):
        result = subprocess.run(
            ["bash", "-c", command_line.flask_line(command)],
            env=environment(uri) | {"COLUMNS": "1000"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        (line,) = set(re.findall(r"`?(\S+ --app \S+ init-db)`?", result.stdout + result.stderr))
        made = subprocess.run(
            ["bash", "-c", line.strip("`")], env=environment(uri), cwd=tmp_path, timeout=60, check=False
        )
        assert made.returncode == 0
        (tmp_path / "services.db").unlink()
