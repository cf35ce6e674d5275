"""Tests use the public names of the service alone, also in texts and imports, where a linter does not see them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import ROOT

OURS = ("app", "bench", "cli", "config", "core", "harness", "load", "models", "resources", "serve", "server", "web")
BY_NAME = ("getattr", "setattr", "delattr", "object")  # `object` of `patch.object`: the name is the second argument
PRIVATE = re.compile(r"_[A-Za-z]\w*")


def private_names(text: str) -> Iterator[str]:
    """The private names that a module replaces or reads by their text, or imports from the service."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in OURS:
            yield from (each.name for each in node.names if PRIVATE.fullmatch(each.name))
        if isinstance(node, ast.Call):
            yield from (name for name in _named(node) if PRIVATE.fullmatch(name))


def _named(call: ast.Call) -> Iterator[str]:
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    texts = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    if function in BY_NAME:
        yield from texts[:1]
    if function in ("patch", "setattr", "delattr"):  # also by one dotted text
        yield from (each.rpartition(".")[2] for each in texts[:1])
    if function == "multiple":
        yield from (each.arg for each in call.keywords if each.arg)


def test_no_test_needs_a_private_name() -> None:
    files = {file for folder in ("tests", "harness") for file in (ROOT / folder).rglob("*.py")} - {Path(__file__)}
    assert len(files) > 100
    found = {f"{file.relative_to(ROOT)}: {name}" for file in files for name in private_names(file.read_text())}
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        'setattr(module, "_name", 1)',
        'monkeypatch.setattr(module, "_NAME", 1)',
        'monkeypatch.setattr(type(one), "_name", 1)',
        'monkeypatch.setattr("core.module._name", 1)',
        'getattr(app.extensions["seckill"], "_name")',
        'mock.patch("core.module._name")',
        'mock.patch.object(module, "_name")',
        "mock.patch.multiple(module, _name=1)",
        "from core.module import _name",
    ],
)
def test_a_private_name_would_be_found(text: str) -> None:
    assert [name.lower() for name in private_names(text)][:1] == ["_name"]
