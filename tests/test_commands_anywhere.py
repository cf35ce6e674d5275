"""Every command reads the settings of the service, wherever and by whomever it is called, and makes nothing unasked."""

import getpass
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jwt
import pytest
from flask import Flask

import config
from cli.commands import COMMANDS
from core.ops import command_line
from harness.service import SECRET, environment
from tests import each_command
from tests.core.selling import Selling
from tests.database_line import after_database_line
from tests.test_greeting import silent_proxy

# Each command as it is called here. `$OUT` is a folder to write to.
CALLS = {
    "init-db": ["init-db", "--json"],
    "seed": ["seed", "--json"],
    "token": ["token", "--user", "王芳", "--json"],
    "audit": ["audit", "--json"],
    "sweep": ["sweep", "--json"],
    "publish": ["publish", "--json"],
    "prune": ["prune", "--json"],
    "doctor": ["doctor", "--json"],
    "report": ["report", "1", "--json"],
    "summary": ["summary", "--json"],
    "export": ["export", "orders"],
    "person": ["person", "find", "--user", "王芳", "--json"],
}
WITHOUT_DATABASE = {"token"}
CTL = config.ROOT / "deploy" / "seckill-ctl"


def flask(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("flask")), "--app", str(config.ROOT / "app.py"), *arguments]


@pytest.fixture
def env_file(tmp_path: Path, sqlite_app: Flask, sqlite_uri: str) -> Path:
    """The settings of a service, in a file; an order of 王芳's is in its database."""
    selling = Selling(sqlite_app.extensions["seckill"])
    selling.bought(selling.item(name="键盘"), "王芳")
    path = tmp_path / "shop's settings.env"
    path.write_text(f"SECKILL_SQLALCHEMY_DATABASE_URI={sqlite_uri}\nSECKILL_SECRET_KEY={SECRET}\n", encoding="utf-8")
    path.chmod(0o640)
    return path


def ran(command: list[str], env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, timeout=60, check=False)


def assert_works(name: str, env: dict[str, str], cwd: Path, path: Path) -> None:
    done = ran(flask(*CALLS[name]), env, cwd)
    errors = done.stderr.decode()
    assert done.returncode == 0, errors
    speaks_to = f"Database: sqlite:///{path.parent}/seckill.db"
    shown = [f"{'Key: SECKILL_SECRET_KEY' if name in WITHOUT_DATABASE else speaks_to} (settings: {path})"]
    assert errors.splitlines() == shown
    if "--json" in CALLS[name]:
        json.loads(done.stdout)
    else:
        assert "键盘" in done.stdout.decode("utf-8")


every_command = pytest.mark.parametrize("name", CALLS)


def test_every_command_is_tried_here() -> None:
    assert CALLS.keys() == {command.name for command in COMMANDS}


@pytest.mark.long
@every_command
def test_each_works_in_a_folder_where_somebody_else_s_settings_lie(name: str, env_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    other = f"sqlite:///{folder}/other.db"
    (folder / ".env").write_text(f"SECKILL_SQLALCHEMY_DATABASE_URI={other}\nSECKILL_SECRET_KEY={'k' * 40}\n")
    (folder / "config.py").write_text("raise SystemExit('the settings of somebody else')")
    assert_works(name, {"SECKILL_ENV_FILE": str(env_file), "PATH": os.environ["PATH"]}, folder, env_file)
    assert not (folder / "other.db").exists()


# One that signs, one that looks at everything, one that writes, and one whose argument is Chinese: all load alike.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("token", "doctor", "seed", "person") else pytest.mark.long)
        for name in CALLS
    ],
)
def test_each_works_under_cron_which_gives_them_no_environment(name: str, env_file: Path) -> None:
    assert_works(name, {"SECKILL_ENV_FILE": str(env_file)}, Path("/"), env_file)


@pytest.mark.long
@every_command
def test_each_works_where_the_environment_names_a_proxy(name: str, env_file: Path) -> None:
    with silent_proxy() as (proxy, was_used):
        assert_works(name, proxy | {"SECKILL_ENV_FILE": str(env_file)}, Path("/"), env_file)
        assert not was_used()


@pytest.mark.long
@every_command
def test_each_works_in_a_terminal_that_is_not_utf_8(name: str, env_file: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert_works(name, ascii_only | {"SECKILL_ENV_FILE": str(env_file)}, Path("/"), env_file)


def test_what_the_environment_says_wins_over_the_file(env_file: Path, tmp_path: Path) -> None:
    env = {"SECKILL_ENV_FILE": str(env_file), "SECKILL_SECRET_KEY": "k" * 40}
    made = ran(flask("token", "--user", "alice"), env, tmp_path)
    jwt.decode(made.stdout.strip(), "k" * 40, algorithms=["HS256"])


def test_the_service_reads_where_to_listen_from_the_file_as_well(env_file: Path, tmp_path: Path) -> None:
    env_file.write_text(env_file.read_text() + "WORKERS=none\n")
    refused = ran([sys.executable, str(config.ROOT / "serve.py")], {"SECKILL_ENV_FILE": str(env_file)}, tmp_path)
    assert (refused.returncode, refused.stderr) == (1, b"error: WORKERS must be a whole number from 1 to 64\n")


UNREADABLE = {
    "nothing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "bytes that are no text": lambda path: path.write_bytes(b"SECKILL_DEBUG=\xff"),
}


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=list(UNREADABLE))
def test_a_file_that_is_named_and_cannot_be_read_ends_service_and_commands_with_one_line(
    spoil: object, tmp_path: Path, sqlite_uri: str
) -> None:
    path = tmp_path / "named.env"
    spoil(path)
    env = environment(sqlite_uri) | {"SECKILL_ENV_FILE": str(path)}
    for command in (flask("token", "--user", "alice"), [sys.executable, str(config.ROOT / "serve.py")]):
        ended = ran(command, env, tmp_path)
        assert (ended.returncode, ended.stdout, ended.stderr.count(b"\n")) == (1, b"", 1), ended.stderr
        assert b"SECKILL_ENV_FILE" in ended.stderr
        assert str(path).encode() in ended.stderr


def test_without_a_key_none_makes_one_and_what_signs_ends_with_one_line(tmp_path: Path) -> None:
    instance = tmp_path / "instance"
    env = environment(f"sqlite:///{tmp_path}/seckill.db") | {"SECKILL_INSTANCE": str(instance)}
    del env["SECKILL_SECRET_KEY"]
    ended = each_command.run(CALLS, env, tmp_path / "printed")
    for name in "token", "doctor":
        assert b"SECKILL_SECRET_KEY is not set" in ended[name].stdout + ended[name].stderr
    token = ended["token"]
    assert (token.returncode, token.stdout, token.stderr.count(b"\n")) == (1, b"", 1), token.stderr
    others = {name: call.returncode for name, call in ended.items() if name not in ("token", "doctor")}
    assert others == dict.fromkeys(others, 0)
    assert not instance.exists()


def test_none_but_init_db_makes_a_sqlite_file(tmp_path: Path) -> None:
    calls = {name: CALLS[name] for name in CALLS.keys() - WITHOUT_DATABASE - {"init-db"}}
    place = tmp_path / "place"
    place.mkdir()
    for name, ended in each_command.run(calls, environment(f"sqlite:///{place}/none.db"), tmp_path / "printed").items():
        assert ended.returncode != 0, name
        output = ended.stdout + after_database_line(ended.stderr.decode()).encode()
        assert b"init-db" in output, name
    assert os.listdir(place) == []


def test_an_env_file_of_the_folder_does_not_move_the_instance(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"SECKILL_INSTANCE={tmp_path}/moved\n")
    env = environment("")
    del env["SECKILL_SQLALCHEMY_DATABASE_URI"]
    ended = ran(flask("summary"), env, tmp_path)
    assert ended.stderr.splitlines()[0] == f"Database: {config.DEFAULT_DATABASE_URI}".encode()
    assert os.listdir(tmp_path) == [".env"]


@pytest.mark.parametrize("call", [["token", "--user", "alice"], ["audit", "--json"]], ids=" ".join)
def test_output_that_cannot_be_written_is_told_in_one_line(call: list[str], tmp_path: Path) -> None:
    env = environment(f"sqlite:///{tmp_path}/x.db")
    assert ran(flask("init-db"), env, tmp_path).returncode == 0
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(flask(*call), env=env, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    _, _, output = ended.stderr.decode().partition("\n")  # after the line that names the database, or the key
    assert output == "Error: the output cannot be written: No space left on device\n"


def test_the_line_that_names_the_database_hides_password_and_options() -> None:
    uri = "mysql+mysqlconnector://shop:hidden@127.0.0.1:1/none?ssl_key=hidden"
    ended = ran(flask("summary"), environment(uri), Path("/"))
    assert ended.stderr.splitlines()[0] == b"Database: mysql+mysqlconnector://shop:***@127.0.0.1:1/none"
    assert b"hidden" not in ended.stderr


def test_lines_to_paste_name_the_file_of_settings(
    env_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECKILL_ENV_FILE", str(env_file))
    line = command_line.flask_line("token", "--user", "alice")
    made = ran(["bash", "-c", line], {"PATH": os.environ["PATH"]}, tmp_path)
    jwt.decode(made.stdout.strip(), SECRET, algorithms=["HS256"])


def test_the_wrapper_uses_the_service_s_settings_and_nothing_else_of_the_environment(
    env_file: Path, tmp_path: Path
) -> None:
    link = tmp_path / "seckill-ctl"
    link.symlink_to(CTL)
    env = {"SECKILL_ENV_FILE": env_file.name, "SECKILL_USER": getpass.getuser(), "SECKILL_SECRET_KEY": "k" * 40}
    made = ran([str(link), "token", "--user", "alice"], env | {"PATH": os.environ["PATH"]}, env_file.parent)
    assert made.returncode == 0, made.stderr
    jwt.decode(made.stdout.strip(), SECRET, algorithms=["HS256"])


def test_the_wrapper_reads_secrets_from_a_folder_as_the_service_does(tmp_path: Path, sqlite_uri: str) -> None:
    (tmp_path / "empty.env").touch()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "SECKILL_SQLALCHEMY_DATABASE_URI").write_text(sqlite_uri)
    (tmp_path / "secrets" / "SECKILL_SECRET_KEY").write_text(SECRET)
    env = {"SECKILL_ENV_FILE": "empty.env", "SECKILL_SECRETS_DIR": "secrets", "SECKILL_USER": getpass.getuser()}
    made = ran([str(CTL), "token", "--user", "alice"], env | {"PATH": os.environ["PATH"]}, tmp_path)
    assert made.returncode == 0, made.stderr
    jwt.decode(made.stdout.strip(), SECRET, algorithms=["HS256"])


@pytest.mark.parametrize("line", ["", "SECKILL_SQLALCHEMY_DATABASE_URI=\n"])
def test_the_wrapper_ends_with_one_line_where_no_settings_name_a_database(tmp_path: Path, line: str) -> None:
    path = tmp_path / "no database.env"
    path.write_text(f"{line}SECKILL_SECRET_KEY={SECRET}\n")
    env = {
        "SECKILL_ENV_FILE": str(path),
        "SECKILL_USER": getpass.getuser(),
        "SECKILL_INSTANCE": str(tmp_path / "trial"),
    }
    for command in ("init-db", "token"):
        ended = ran([str(CTL), command, *CALLS[command][1:]], env | {"PATH": os.environ["PATH"]}, tmp_path)
        assert (ended.returncode, ended.stdout, ended.stderr.count(b"\n")) == (1, b"", 1), ended.stderr
        assert b"sets SECKILL_SQLALCHEMY_DATABASE_URI" in ended.stderr
        assert str(path).encode() in ended.stderr
    assert os.listdir(tmp_path) == [path.name]


def test_a_service_that_can_keep_no_trial_says_that_the_database_s_address_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty.env").touch()
    env = {"SECKILL_ENV_FILE": str(tmp_path / "empty.env"), "SECKILL_INSTANCE": str(tmp_path / "file" / "instance")}
    ended = ran([sys.executable, str(config.ROOT / "serve.py")], env, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr.count(b"\n")) == (1, b"", 1), ended.stderr
    assert ended.stderr.startswith(b"error: SECKILL_SQLALCHEMY_DATABASE_URI is not set")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_the_wrapper_becomes_the_service_s_user_in_any_folder(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        project = Path(place) / "the project"
        for folder in (project / "deploy", project / ".venv" / "bin"):
            folder.mkdir(parents=True)
        Path(place).chmod(0o755)
        ctl, program = project / "deploy" / CTL.name, project / ".venv" / "bin" / "flask"
        shutil.copy(CTL, ctl)
        program.write_text('#!/bin/sh\nid -un\nenv\nprintf "%s\\n" "$@"\nexit 7\n')
        program.chmod(0o755)
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        env = {"SECKILL_USER": "nobody", "http_proxy": "http://127.0.0.1:1", "PATH": os.environ["PATH"]}
        done = ran([str(ctl), "person", "find", "--user", "a b"], env, closed)
        output = done.stdout.decode().splitlines()
        assert (done.returncode, output[0]) == (7, "nobody")
        assert output[-6:] == ["--app", str(project / "app.py"), "person", "find", "--user", "a b"]
        assert "SECKILL_ENV_FILE=/etc/seckill.env" in output
        assert not [line for line in output if line.startswith("http_proxy")]
        missing = ran([str(ctl), "audit"], env | {"SECKILL_USER": "no-such-user"}, closed)
        assert (missing.returncode, missing.stderr.count(b"\n")) == (1, 1)
