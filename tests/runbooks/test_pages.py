"""The runbooks name what there is: commands, options, settings, files and programs of ours."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.commands import COMMANDS
from config import PREFIX, ROOT, Settings

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


def test_the_steps_of_the_table_of_keys_are_those_that_are_tried() -> None:
    from tests.runbooks.test_keys import NEW, OLD, STEPS

    rows = re.findall(
        r"^\| [0-3] \| (.*?) \|", (ROOT / "docs" / "runbooks" / "keys.md").read_text(), flags=re.MULTILINE
    )
    names = {OLD: "old", NEW: "new"}
    assert [dict(re.findall(rf"`{PREFIX}(\w+)=(\w+)`", row)) for row in rows] == [
        {name: names[value] for name, value in step.items()} for step in STEPS
    ]
