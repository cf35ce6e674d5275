"""Prometheus' own judge of rules, from where `install_promtool` finds or puts it."""

import subprocess
from functools import cache
from pathlib import Path

_INSTALL = Path(__file__).with_name("install_promtool")


@cache
def _program() -> str:
    found = subprocess.run([_INSTALL], capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(found.stderr.strip())
    return found.stdout.strip()


def promtool(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool; it prints on standard output and error what is wrong, and ends with a code other than 0."""
    return subprocess.run([_program(), *arguments], cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
