"""Programs that are forks of a loaded application end, print and take signals as processes of their own do."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness import forks
from harness.eventually import eventually
from harness.service import environment, run_command

LOOP = ["-m", "flask", "sweep", "--loop"]


@pytest.fixture
def env(sqlite_uri: str) -> dict[str, str]:
    made = environment(sqlite_uri, PAYMENT_PROVIDER="test")
    assert forks.can_start(made)
    assert run_command(["init-db"], made).returncode == 0
    return made


def test_it_prints_what_it_prints_and_ends_with_its_code(env: dict[str, str]) -> None:
    done = forks.run(["-m", "flask", "audit", "--json"], env, 60)
    assert (done.returncode, done.stdout[:12]) == (0, '{"ok": true,')
    refused = forks.run(["-m", "flask", "no-such-command"], env, 60)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "No such command 'no-such-command'" in refused.stderr


def test_a_fault_is_a_traceback_and_code_1(env: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys\nprint(sys.argv, __name__)\nraise KeyError('a fault')\n")
    done = forks.run([str(program), "argument"], env, 60)
    assert (done.returncode, done.stdout) == (1, f"['{program}', 'argument'] __main__\n")
    assert done.stderr.endswith("KeyError: 'a fault'\n")


def test_each_has_its_own_environment_and_none_of_the_one_before(env: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import os\nprint(os.environ.get('OF_THE_FIRST'))\n")
    assert forks.run([str(program)], env | {"OF_THE_FIRST": "1"}, 60).stdout == "1\n"
    assert forks.run([str(program)], env, 60).stdout == "None\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_it_takes_signals(env: dict[str, str], tmp_path: Path, number: int, code: int) -> None:
    with (tmp_path / "output").open("wb") as output:
        program = forks.start(LOOP, env, output, output)
    assert isinstance(program, forks.Fork)
    assert eventually(lambda: b"Database" in (tmp_path / "output").read_bytes())
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.05)
    assert program.poll() is None
    os.kill(program.pid, 0)
    program.send_signal(number)
    assert program.wait(60) == program.poll() == program.returncode == code
    program.send_signal(number)  # to nobody


@pytest.mark.parametrize("name", ["PYTHONIOENCODING", "LC_ALL", "TZ", "SECKILL_INSTANCE", "HOME"])
def test_what_changes_the_loading_is_no_fork(env: dict[str, str], name: str) -> None:
    assert not forks.can_start(env | {name: "other"})
