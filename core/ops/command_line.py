"""Lines to paste into a shell."""

import os
import shlex
import sys
from pathlib import Path

from config import ENV_FILE_NAME, ROOT, env_file


def flask_line(*arguments: str) -> str:
    """A shell command that runs a `flask` command of this installation, with its file of settings, from any folder."""
    program = Path(sys.executable).with_name("flask")
    command = [str(program)] if program.exists() else [sys.executable, "-P", "-m", "flask"]
    named = f"{ENV_FILE_NAME}={shlex.quote(str(env_file()))} " if os.environ.get(ENV_FILE_NAME) else ""
    return named + shlex.join([*command, "--app", str(ROOT / "app.py"), *arguments])
