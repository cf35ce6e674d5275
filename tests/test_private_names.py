"""Tests use the public names of the service alone, in texts too, where a linter does not see them."""

import re
from pathlib import Path

from config import ROOT

# As in `monkeypatch.setattr(module, "_name", …)` and `patch("package.module._name")`.
PATCHED = re.compile(r"""(?:setattr|delattr|patch|patch\.object)\(\s*(?:[^()"']+,\s*)?["'](?:[\w.]+\.)?_[a-z]\w*["']""")


def test_no_test_replaces_a_private_name() -> None:
    files = {file for folder in ("tests", "harness") for file in (ROOT / folder).rglob("*.py")} - {Path(__file__)}
    assert len(files) > 100
    found = {f"{file.relative_to(ROOT)}: {match[0]}" for file in files for match in PATCHED.finditer(file.read_text())}
    assert not found


def test_a_private_name_would_be_found() -> None:
    for text in ('setattr(module, "_name"', "setattr(\n    module,\n    '_name'", 'patch("core.module._name"'):
        assert PATCHED.search(text), text
