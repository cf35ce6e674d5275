"""docs/frontend.md: its program compiles under the strictest settings and buys; its table knows every code."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import app as application
from config import ROOT
from harness.client_types import CLIENT, PROGRAMS, TYPES
from harness.service import Service
from resources.http.auth import Access
from resources.http.openapi_problems import codes_of
from resources.http.problems import PROBLEMS
from resources.seckill import BUY

TEXT = (ROOT / "docs" / "frontend.md").read_text()
SOURCES = ROOT / "tests"


def compiled(folder: Path, shop: str) -> subprocess.CompletedProcess[str]:
    """The journey in a folder, with `shop` as shop.ts: what the compiler says."""
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    (folder / "shop.ts").write_text(shop)
    shutil.copy(TYPES, folder / "api.d.ts")
    shutil.copy(SOURCES / "contract" / "journey.ts", folder)
    shutil.copy(SOURCES / "web" / "client" / "tsconfig.json", folder)
    (folder / "node_modules").symlink_to(CLIENT / "node_modules")
    (folder / "types" / "process").mkdir(parents=True)
    (folder / "types" / "process" / "index.d.ts").write_text("declare const process: { argv: string[] };\n")
    command = [PROGRAMS / "tsc", "--project", ".", "--typeRoots", "types"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250, check=False)


def program() -> str:
    (found,) = re.findall(r"```ts\n(.*?)```", TEXT, flags=re.DOTALL)
    return str(found)


@pytest.mark.node
def test_the_program_compiles_under_the_strictest_settings_and_makes_the_journey(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path
) -> None:
    done = compiled(tmp_path, program())
    assert done.returncode == 0, done.stdout
    service = start_service(sqlite_uri, PAYMENT_PROVIDER="test")
    start = datetime.now(timezone.utc) + timedelta(seconds=20)  # the program is to be there before, however slow
    goods = service.create_goods(price=1000, per_user_limit=2, starts_at=start.isoformat())
    token = service.headers("alice")["Authorization"].removeprefix("Bearer ")
    run = ["node", "journey.js", service.url, token, str(goods)]
    ran = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "ahead": True,
        "early": ["sale_not_started", True],
        "same": True,
        "total": [2000, 2000],
        "replayed": [False, True, True],
        "over": "You have 2 of 2",
        "wrong": ["quantity: The value is out of range.", 1000],
        "coupon": [True, "There is no coupon with this code."],
        "renewed": True,
        "left": 0,
        "paid": ["paid", 1],
    }


@pytest.mark.node
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('case "limit_reached"', 'case "limit_passed"'),
        ("problem.already_bought", "problem.bought"),
        ('data.status !== "pending"', 'data.status !== "waiting"'),
        ('"Idempotency-Key": key', '"Idempotency-Key": 1'),
    ],
)
def test_a_wrong_program_does_not_compile(tmp_path: Path, right: str, wrong: str) -> None:
    assert right in program()
    assert compiled(tmp_path, program().replace(right, wrong)).returncode != 0


def test_the_table_has_every_code_of_what_buyers_call() -> None:
    table = TEXT.partition("## Code → what to show")[2].partition("\n## ")[0]
    named = {
        code for row in re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE) for code in re.findall(r"`(\w+)`", row)
    }
    operations = [
        method.operation
        for resource in application.ROUTES.values()
        for method in (getattr(resource, verb.lower()) for verb in resource.methods)
        if method.operation.access is Access.BUYER
    ]
    assert BUY in operations
    declared = {code for operation in operations for code in codes_of(operation)}
    assert declared | {"bad_request", "internal_error"} <= named <= PROBLEMS.keys()
