"""Lines to paste into a shell."""

import shlex
import sys
from pathlib import Path

from config import ROOT


def flask_line(*arguments: str) -> str:
    """A shell command that runs a `flask` command of this installation from any folder."""
    program = Path(sys.executable).with_name("flask")
    command = [str(program)] if program.exists() else [sys.executable, "-P", "-m", "flask"]
    return shlex.join([*command, "--app", str(ROOT / "app.py"), *arguments])
