"""The recipes of docs/load-testing.md, run as they stand against a service on loopback; only shorter."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from config import ROOT
from harness.service import Service

PAGE = (ROOT / "docs" / "load-testing.md").read_text()
SHORTER = {"--duration 30s": "--duration 8s", "--connections 64": "--connections 8", "-z 30s": "-z 8s", "-c 50": "-c 4"}


@pytest.fixture
def shop(start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path) -> tuple[Service, int]:
    """A service and an item, and a file of tokens beside."""
    service = start_service(sqlite_uri, workers=2)
    (tmp_path / "tokens.txt").write_text("".join(f"{service.token(f'load-{number}')}\n" for number in range(50)))
    return service, service.create_goods(stock=10**6)


def run(tool: str, shop: tuple[Service, int], folder: Path) -> tuple[str, int]:
    """Run the recipe; returns what it prints, and how many units were sold."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    service, goods_id = shop
    section = PAGE.partition(f"\n### {tool}\n")[2].partition("\n##")[0]
    (script,) = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    for long, short in SHORTER.items():
        script = script.replace(long, short)
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=service.environment | {"URL": service.url, "GOODS": str(goods_id), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout, service.goods(goods_id)["sold"]


def test_wrk_buys_with_a_key_and_a_token_for_each_request(shop: tuple[Service, int], tmp_path: Path) -> None:
    output, sold = run("wrk", shop, tmp_path)
    bought = sum(int(count) for count in re.findall(r"\b201:(\d+)", output))
    # Those whose answers were on their way at the end are sold and not counted; no key was a replay of another.
    assert 0 < bought <= sold <= bought + 2 * 8
    assert set(re.findall(r"\b(\d{3}):\d", output)) <= {"201", "503"}
    assert "99%" in output


def test_hey_looks_and_buys(shop: tuple[Service, int], tmp_path: Path) -> None:
    output, sold = run("hey", shop, tmp_path)
    looked, bought = output.split("Status code distribution:")[1:]
    assert re.search(r"\[200\]\t\d+ responses", looked)
    (answers,) = re.findall(r"\[201\]\t(\d+) responses", bought)
    assert 0 < int(answers) <= sold <= int(answers) + 4


def test_k6_buys_at_a_rate(shop: tuple[Service, int], tmp_path: Path) -> None:
    output, sold = run("k6", shop, tmp_path)
    assert sold > 0
    assert "outcomes" in output
