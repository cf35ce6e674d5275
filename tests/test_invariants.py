"""docs/invariants.md is true: its code, its tests and its checks of the audit are there, and none is left out."""

import re
from pathlib import Path

import pytest

from config import ROOT
from core.ops.audit import CHECKS

PAGE = (ROOT / "docs" / "invariants.md").read_text()
ROWS = {int(row[0]): row[1:] for row in re.findall(r"^\| (\d) \|(.*)\|(.*)\|(.*)\|(.*)\|(.*)\|$", PAGE, re.MULTILINE)}


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def is_there(test: str) -> bool:
    path, _, name = test.partition("::")
    return re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE) is not None


def test_each_has_a_row() -> None:
    assert sorted(ROWS) == list(range(1, 10))


@pytest.mark.parametrize("number", sorted(ROWS))
def test_its_code_and_its_tests_are_there(number: int) -> None:
    _, code, test, twin, _ = ROWS[number]
    files = [name for name in names_in(code) if "/" in name]
    assert files
    assert all((ROOT / name).is_file() for name in files)
    for cell in (test, twin):
        (name,) = names_in(cell)
        assert is_there(name), name


@pytest.mark.parametrize("number", sorted(ROWS))
def test_its_checks_are_those_of_the_audit(number: int) -> None:
    assert set(names_in(ROWS[number][4])) == {check.name for check in CHECKS if check.invariant == number}


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILE = re.compile(r"`((?:core|resources|server|cli|harness|tests|bench|load|deploy)/[\w/.-]+\.\w+)")


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_a_document_names_only_files_that_there_are(page: Path) -> None:
    assert [name for name in FILE.findall(page.read_text()) if not (ROOT / name).exists()] == []
