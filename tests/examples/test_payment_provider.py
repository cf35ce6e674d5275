"""The payment provider for trials, as its README has it, against a running service."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from config import ROOT
from examples.payment_provider import Event, NotLoopback, Provider, new_secret
from harness.database_server import free_port
from harness.service import Service
from harness.serving import serving

README = (ROOT / "examples" / "payment_provider" / "README.md").read_text()
KEY = new_secret()


def run(*arguments: str, secrets: str | None = KEY) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SECKILL_")}
    if secrets is not None:
        environment["SECKILL_PAYMENT_WEBHOOK_SECRETS"] = secrets
    return subprocess.run(
        [sys.executable, "-m", "examples.payment_provider", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_commands_of_its_readme_work(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    service = start_service(sqlite_uri, PAYMENT_WEBHOOK_SECRETS=KEY)
    commands = re.findall(r"-m examples\.payment_provider (--order .*)", README)
    assert len(commands) == 4
    for command in commands:
        order = service.buy(service.create_goods(), "alice").json()
        given = command.replace("<order_no>", order["order_no"]).replace("<total>", str(order["total"])).split()
        result = run("--url", f"{service.url}/payments/webhook", *given)
        assert result.returncode == 0, result.stdout + result.stderr
        outcomes = [line.split()[2:] for line in result.stdout.splitlines()]
        copies = 50 if "--duplicates" in given else 1
        assert outcomes.count(["200", "paid"]) == copies
        for kind in ("failed", "refunded"):
            assert outcomes.count(["200", kind]) == command.count(kind)


def test_a_new_secret_is_one_that_the_service_takes(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    secret = run("--new-secret", secrets=None).stdout.strip()
    assert secret != run("--new-secret", secrets=None).stdout.strip()
    service = start_service(sqlite_uri, PAYMENT_WEBHOOK_SECRETS=secret)
    url = f"{service.url}/payments/webhook"
    assert run("--url", url, "--order", "x", "--amount", "1", "--secret", secret).stdout.split()[2:] == [
        "200",
        "unknown_order",
    ]
    refused = run("--url", url, "--order", "x", "--amount", "1")
    assert (refused.returncode, refused.stdout.split()[2]) == (1, "401")


def test_it_speaks_to_this_host_alone_unless_told_otherwise() -> None:
    for host in ("shop.example", "10.0.0.1", "127.0.0.1.example"):
        with pytest.raises(NotLoopback):
            Provider(f"http://{host}/payments/webhook", KEY)
        assert "not this host" in run("--url", f"http://{host}/", "--order", "x", "--amount", "1").stderr
        Provider(f"http://{host}/payments/webhook", KEY, allow_any_host=True)
    for host in ("127.0.0.1", "[::1]", "localhost"):
        Provider(f"http://{host}:1/", KEY)


def test_without_a_secret_it_says_so() -> None:
    result = run("--order", "x", "--amount", "1", secrets=None)
    assert (result.returncode, result.stdout) == (1, "")
    assert "SECKILL_PAYMENT_WEBHOOK_SECRETS" in result.stderr


@pytest.fixture
def moody() -> Iterator[tuple[str, list[str]]]:
    """A receiver that answers 503, then 500, then 200, then 302; its address and the ids that it received."""
    ids: list[str] = []

    class Moody(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            ids.append(self.headers["webhook-id"])
            self.send_response([503, 500, 200, 302][len(ids) - 1])
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}/", ids


def test_it_tells_again_what_was_not_taken_under_the_same_id(moody: tuple[str, list[str]]) -> None:
    url, ids = moody
    event = Event("payment.succeeded", "x", 1, "CNY")
    sent = Provider(url, KEY).deliver(event, retries=5)
    assert [answer.status for answer in sent.answers] == [503, 500, 200]
    assert ids == [event.event_id] * 3
    # A redirect is an answer, not a way to somewhere else.
    assert Provider(url, KEY).deliver(event, retries=5).final.status == 302


def test_where_nobody_answers_it_gives_up_after_its_retries() -> None:
    sent = Provider(f"http://127.0.0.1:{free_port()}/", KEY).deliver(Event("payment.failed", "x", 1, "CNY"), retries=2)
    assert [answer.status for answer in sent.answers] == [None] * 3
    assert not sent.final.taken
