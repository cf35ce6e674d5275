"""The documents name what there is: every setting, metric, command, error code and route."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import app as application
from config import ROOT, Settings
from core.db.fault_table import GROUPS, KNOWN, Kind
from core.refusals import __dict__ as refusal_codes
from harness.service import Service
from resources.http.problems import PROBLEMS
from tests.test_invariants import is_there

README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_readme_explains_every_setting_as_config_does(name: str) -> None:
    (row,) = re.findall(rf"^\| `{name}` \| (.*?) \| (.*) \|$", README, flags=re.MULTILINE)
    default, meaning = row
    assert meaning == Settings.model_fields[name].description
    value = Settings.model_fields[name].default
    if isinstance(value, (int, float)):
        assert default == f"`{str(value).lower()}`"


def test_the_readme_has_no_setting_that_is_none() -> None:
    table = README.partition("## Settings")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([A-Z_]+)`", table, flags=re.MULTILINE)) == set(Settings.model_fields)


def test_every_metric_is_documented() -> None:
    declared = set()
    for path in [*ROOT.glob("core/**/*.py"), *ROOT.glob("resources/**/*.py")]:
        declared |= set(re.findall(r'"(seckill_[a-z_]+)", *(?:\n *)?"', path.read_text()))
    assert declared
    assert set(re.findall(r"^\| `(seckill_[a-z_]+)`", OPERATIONS, flags=re.MULTILINE)) == declared


def test_every_wait_of_a_request_has_a_test() -> None:
    table = OPERATIONS.partition("| waits for | at most |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]
    assert len(rows) > 15
    assert [row[0] for row in rows if not row[-1]] == ["the worker to accept its connection"]
    assert [row[-1] for row in rows if row[-1] and not is_there(row[-1].strip("`"))] == []


def test_every_refusal_of_the_core_is_a_documented_problem() -> None:
    codes = {value for name, value in refusal_codes.items() if name.isupper()}
    assert codes <= PROBLEMS.keys()


def test_the_readme_names_every_command_of_the_service(sqlite_app: object) -> None:
    commands = {name for name in sqlite_app.cli.commands if name not in ("db",)}
    jobs = {"init-db", "seed", "token", "audit", "sweep", "publish", "prune", "doctor"}
    assert commands == jobs | {"report", "summary", "export", "person"}
    for name in commands:
        assert f"flask {name}" in README


def test_the_shell_lines_of_the_readme_work(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    service = start_service(sqlite_uri)
    (block,) = [text for text in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL) if text.startswith("URL=")]
    script = block.replace("http://127.0.0.1:8000", service.url)
    script = script.replace(".venv/bin/flask", f"{sys.executable} -m flask").replace("curl ", "curl -sSf ")
    subprocess.run(["bash", "-euc", script], cwd=ROOT, env=service.environment, check=True, timeout=60)
    assert service.goods(1)["sold"] == 1
    assert service.goods(1)["status"] == "on_sale"
    assert service.goods(5)["stock"] == 50


def test_the_first_purchase_of_the_readme_works(start_service: Callable[..., Service], sqlite_uri: str) -> None:
    service = start_service(sqlite_uri)
    item = service.create_goods()
    (block,) = [text for text in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL) if text.startswith("TOKEN=")]
    script = block.replace("http://127.0.0.1:8000/seckill/1", f"{service.url}/seckill/{item}")
    script = script.replace(".venv/bin/flask", f"{sys.executable} -m flask").replace("curl ", "curl -sSf ")
    for _ in range(2):
        subprocess.run(["bash", "-euc", script], cwd=ROOT, env=service.environment, check=True, timeout=60)
    assert service.goods(item)["sold"] == 1


def test_the_make_targets_that_the_documents_name_exist() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set()
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        named |= set(re.findall(r"^(?:make |.*`make )([a-z0-9-]+)", path.read_text(), flags=re.MULTILINE))
    assert {"run", "test", "help"} <= named
    assert not [name for name in named - {"help"} if not re.search(rf"^{name}\s", listed, flags=re.MULTILINE)]


def test_the_paths_that_the_readme_names_exist() -> None:
    tree = README.partition("## Find your way")[2]
    for name in re.findall(r"^([a-z_]+(?:\.py|/)(?:[a-z]+/)?)\s", tree, flags=re.MULTILINE):
        assert (ROOT / name).exists()
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists()


def test_every_route_of_the_table_is_an_operation() -> None:
    for route, resource in application.ROUTES.items():
        assert any(hasattr(getattr(resource, verb.lower()), "operation") for verb in resource.methods), route


def test_the_table_of_database_errors_is_the_one_in_the_code() -> None:
    text = (ROOT / "docs" / "database-errors.md").read_text()
    rows = re.findall(r"^\| (-?\d+) \| `(\w+)` \| `(\w+)` \| (.*) \|$", text, flags=re.MULTILINE)
    answers = {Kind.RERUN: "busy", Kind.LOST: "unavailable"}
    assert rows == [(str(known.number), known.name, answers[known.kind], known.why) for known in KNOWN.values()]
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == list(GROUPS)


def test_the_files_of_tests_that_the_documents_name_exist() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("web/*/README.md"), *ROOT.glob("load/*.md")]
    named = {(page.name, path) for page in pages for path in re.findall(r"`(tests/[a-z0-9_/]+\.py)`", page.read_text())}
    assert named
    assert not [(page, path) for page, path in named if not (ROOT / path).exists()]


def test_the_tokens_and_the_item_of_a_load_test_are_made(
    start_service: Callable[..., Service], sqlite_uri: str, tmp_path: Path
) -> None:
    service = start_service(sqlite_uri)
    page = (ROOT / "docs" / "load-testing.md").read_text()
    (script,) = [text for text in re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL) if "--count 1000" in text]
    script = script.replace("http://127.0.0.1:8000", service.url).replace("curl ", "curl -sSf ")
    script = script.replace(".venv/bin/flask", f"{sys.executable} -m flask --app {ROOT / 'app.py'}")
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, env=service.environment, check=True, timeout=60)
    tokens = tmp_path / "tokens.txt"
    assert (len(tokens.read_text().split()), tokens.stat().st_mode & 0o077) == (1000, 0)
    assert service.goods(5)["stock"] == 100_000
