"""The runbooks name what there is: commands, options, settings, files and programs of ours."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from dotenv import dotenv_values

from cli.commands import COMMANDS
from config import PREFIX, ROOT, Settings
from core.ops import secret_key

PAGES = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
COMMAND_LINE = re.compile(r"(?:seckill-ctl|\.venv/bin/flask) ([^`#>]+)")


def command_lines(text: str) -> Iterator[list[str]]:
    for found in COMMAND_LINE.findall(text):
        yield shlex.split(found.partition("\n")[0])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_runbook_is_one(page: Path) -> None:
    root = click.Group(commands={str(command.name): command for command in COMMANDS})
    for words in command_lines(page.read_text()):
        command: click.Command = root
        while isinstance(command, click.Group) and words:
            command = command.commands[words.pop(0)]
        with click.Context(command) as context:
            command.make_parser(context).parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_and_setting_of_a_runbook_is_there(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
    settings = {PREFIX + name for name in Settings.model_fields} | {f"{PREFIX}ENV_FILE", f"{PREFIX}USER"}
    assert set(re.findall(rf"{PREFIX}[A-Z_]+", text)) <= settings


def test_the_runbooks_are_read_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert all(f"docs/runbooks/{page.name}" in readme for page in PAGES)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "deployment.md"], ids=lambda page: page.stem)
def test_a_host_that_was_just_started_is_asked_until_it_answers(page: Path) -> None:
    for block in re.findall(r"^```sh.*?\n(.*?)^```$", page.read_text(), flags=re.MULTILINE | re.DOTALL):
        started = re.search(r"systemctl (?:restart|start|enable --now) seckill\b(.*)", block, flags=re.DOTALL)
        probes = re.findall(r"^curl .*", started[1], flags=re.MULTILINE) if started else []
        assert all("--retry-connrefused" in line for line in probes), probes


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_says_what_is_different_in_containers(page: Path) -> None:
    assert "In containers" in page.read_text()


def test_the_settings_that_a_deployment_begins_with_are_read_as_they_were_written(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text()
    (block,) = re.findall(r"^```sh settings\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "seckill.env"
    subprocess.run(["bash", "-euc", block.replace("/etc/seckill.env", str(path))], check=True, timeout=20)
    read = dotenv_values(path)
    assert read["SECKILL_SQLALCHEMY_DATABASE_URI"] == "mysql+mysqlconnector://shop:…@db.example/shop"
    assert secret_key.fault(read["SECKILL_SECRET_KEY"] or "") is None


def test_the_steps_of_the_table_of_keys_are_those_that_are_tried() -> None:
    from tests.runbooks.test_keys import NEW, OLD, STEPS

    rows = re.findall(
        r"^\| [0-3] \| (.*?) \|", (ROOT / "docs" / "runbooks" / "keys.md").read_text(), flags=re.MULTILINE
    )
    names = {OLD: "old", NEW: "new"}
    assert [dict(re.findall(rf"`{PREFIX}(\w+)=(\w+)`", row)) for row in rows] == [
        {name: names[value] for name, value in step.items()} for step in STEPS
    ]
