"""Runs commands of `flask` one after the other, each in a process of its own; the application is loaded once for all.

    python -m tests.each_command FOLDER '{"name": ["argument", …], …}'

To load it takes longer than the commands do, so each is a fork. What a command prints is in NAME.out and NAME.err of
FOLDER afterwards, and its exit code in NAME.code. How the environment changes the loading is not tried in this way.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import config


def run(
    calls: Mapping[str, list[str]], env: Mapping[str, str], folder: Path
) -> dict[str, subprocess.CompletedProcess[bytes]]:
    """What became of each call. All have the environment `env`; `folder` is made, for what they print."""
    folder.mkdir()
    command = [sys.executable, "-m", __name__, str(folder), json.dumps(calls)]
    own = {**env, "FLASK_APP": "app", "FLASK_RUN_FROM_CLI": "true"}
    subprocess.run(command, env=own, cwd=config.ROOT, timeout=100, check=True)

    def ended(name: str) -> subprocess.CompletedProcess[bytes]:
        out, err, code = ((folder / f"{name}.{of}").read_bytes() for of in ("out", "err", "code"))
        return subprocess.CompletedProcess(calls[name], int(code), out, err)

    return {name: ended(name) for name in calls}


def _main(folder: Path, calls: Mapping[str, list[str]]) -> None:
    from flask.cli import main

    import app  # noqa: F401

    for name, arguments in calls.items():
        process = os.fork()
        if not process:
            for number, of in (1, "out"), (2, "err"):
                os.dup2(os.open(folder / f"{name}.{of}", os.O_WRONLY | os.O_CREAT), number)
            sys.argv[:] = ["flask", *arguments]
            main()  # ends this process
        _, status = os.waitpid(process, 0)
        (folder / f"{name}.code").write_text(str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), json.loads(sys.argv[2]))
