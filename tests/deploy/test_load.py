"""load/: what of it runs without locust."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

from config import ROOT
from harness.service import SECRET, Service
from load.options import MAX_USERS, parse, require_loopback
from load.tally import FAILED, RunCounts, outcome

BUYERS_SH = ROOT / "load" / "buyers.sh"


def _buyers(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BUYERS_SH, *arguments],
        env=environment | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_buyers_sh_tallies_every_buyer_and_never_oversells(
    start_service: Callable[..., Service], sqlite_uri: str
) -> None:
    service = start_service(sqlite_uri, workers=2)
    ended = _buyers(service.environment, "-n", "60", "-s", "7", service.url)
    assert (ended.returncode, ended.stderr) == (0, "")
    tally = {outcome: int(count) for count, outcome in re.findall(r"^ +(\d+) (.+)$", ended.stdout, flags=re.MULTILINE)}
    assert sum(tally.values()) == 60
    assert tally["201 accepted"] == 7
    assert tally.keys() <= {"201 accepted", "409 sold_out", "503 busy"}
    (item,) = re.findall(r"^item (\d+): 7 of 7 sold to 60 buyers, 7 accepted$", ended.stdout, flags=re.MULTILINE)
    assert (service.goods(int(item))["sold"], service.goods(int(item))["stock"]) == (7, 0)

    named = service.create_goods(stock=3)
    ended = _buyers(service.environment, "-g", str(named), "-n", "2", service.url)
    assert ended.returncode == 0, ended.stderr
    assert service.goods(named)["sold"] == 2


@pytest.mark.long
def test_buyers_sh_sees_an_oversold_item(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    """The twin of the test above: a tally that could not be wrong would tell nothing."""
    service = start_service(sqlite_uri, workers=2, threads=16, without_guard=["no_sqlite_transaction"])
    for _ in range(5):
        ended = _buyers(service.environment, "-n", "60", "-s", "7", service.url)
        if ended.returncode == 1 and "WRONG" in ended.stderr:
            return
    pytest.fail(ended.stdout)


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example",
        "http://localhost.shop.example:8000",
        "http://127.0.0.1@shop.example",
        "http://127.0.0.1.shop.example",
        "http://10.0.0.1:8000",
        "http://0.0.0.0:8000",
        "http://[::2]:8000",
        "https://127.0.0.1:8000",
        "http://127.0.0.1:port",
        "http://[::1",
        "10.0.0.1",
        "0.0.0.0:8000",
        "::2",
        "127.0.0.1:99999",
        "127.0.0.1/x",
    ],
)
def test_only_this_very_host_is_loaded(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not of this host"):
        require_loopback(url)
    with pytest.raises(SystemExit):
        parse(["--host", url], {})
    with pytest.raises(SystemExit):
        parse([], {"HOST": url})
    assert "only http://127.0.0.1:<port>" in capsys.readouterr().err


def test_buyers_sh_refuses_another_host() -> None:
    refused = _buyers(dict(os.environ), "http://127.0.0.1@shop.example")
    assert refused.returncode == 1
    assert "not of this host" in refused.stderr


def test_this_host_is_known_by_its_names() -> None:
    assert require_loopback("http://localhost:8000/") == "http://localhost:8000"
    assert require_loopback("http://[::1]:81") == "http://[::1]:81"
    assert require_loopback("http://127.8.8.8") == "http://127.8.8.8:80"


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"PORT": "9000"}, "http://127.0.0.1:9000"),
        ({"HOST": "localhost"}, "http://localhost:8000"),
        ({"HOST": "127.0.0.2", "PORT": "9000"}, "http://127.0.0.2:9000"),
        ({"HOST": "::1", "PORT": "9000"}, "http://[::1]:9000"),
        ({"HOST": "[::1]"}, "http://[::1]:8000"),
        ({"HOST": "127.0.0.1:9001", "PORT": "9000"}, "http://127.0.0.1:9001"),
        ({"HOST": "http://127.0.0.1:9001", "PORT": "9000"}, "http://127.0.0.1:9001"),
    ],
)
def test_host_and_port_are_those_of_make_run(environment: dict[str, str], url: str) -> None:
    given = parse([], environment)
    assert given.url == url
    assert parse([], environment | given.as_environment()) == given


def test_an_unfit_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse([], {"PORT": "many"})
    assert "from 1 to 65535" in capsys.readouterr().err


def test_where_no_service_is_one_line_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    program = [sys.executable, "-m", "load"]
    environment = os.environ | {"PORT": str(port), "ARRIVALS": "1/s", "SECKILL_SECRET_KEY": SECRET}
    ended = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    message = f"error: no service at http://127.0.0.1:{port}; start it with make run\n"
    assert (ended.returncode, ended.stderr) == (1, message)


def test_options_come_from_arguments_or_the_environment_and_have_bounds() -> None:
    assert parse([], {}).headless is False
    given = parse(["--users", "7"], {"USERS": "9", "SECONDS": "5", "HEADLESS": "1"})
    assert (given.users, given.seconds, given.headless) == (7, 5, True)
    assert parse([], given.as_environment()) == given
    for arguments in (["--users", str(MAX_USERS + 1)], ["--seconds", "0"], ["--stock", "many"], ["--spawn", "-1"]):
        with pytest.raises(SystemExit):
            parse(arguments, {})


@pytest.mark.parametrize(
    ("status", "code", "replayed", "expected"),
    [
        (201, None, False, "accepted"),
        (201, None, True, "replayed"),
        (409, "sold_out", False, "sold_out"),
        (503, "busy", False, "busy"),
        (503, None, False, FAILED),
        (500, "internal_error", False, FAILED),
        (422, "idempotency_key_reused", False, FAILED),
        (0, None, False, FAILED),
    ],
)
def test_every_answer_has_its_outcome(status: int, code: str | None, replayed: bool, expected: str) -> None:
    assert outcome(status, code, replayed) == expected


def test_the_verdict_names_what_does_not_add_up() -> None:
    tally = RunCounts()
    tally.outcomes["accepted"] = 5
    tally.time("buy", 1.0)
    assert tally.verdict(stock=5, sold=5) == []
    assert "all adds up" in tally.summary(stock=5, sold=5)
    assert "orders lost" in tally.verdict(stock=5, sold=4)[0]
    assert "oversold" in tally.verdict(stock=4, sold=5)[0]
    tally.complain("another order was shown")
    assert "WRONG  another order was shown: 1 times" in tally.summary(stock=5, sold=5)
