"""The secret key: whatever is wrong with it or with its file is one line, and nothing is signed with a blank one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import config
from app import create_app
from core.ops import doctor
from core.ops.secret_key import KNOWN_SECRETS, UnfitFile, kept_secret
from core.tokens import Tokens
from harness.database_server import free_port
from harness.service import environment

LONG = "x9" * 20
SQLITE = "sqlite:////tmp/never-opened.db"
MYSQL = "mysql+mysqlconnector://user@127.0.0.1:3306/shop"

UNFIT_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "zero bytes": (lambda path: path.write_bytes(b""), "is empty"),
    "blanks": (lambda path: path.write_text(" \t\n" * 30), "is empty"),
    "blanks of other scripts": (lambda path: path.write_text("\u3000\u200b\u00a0" * 30), "is empty"),
    "bytes of zero": (lambda path: path.write_bytes(bytes(64)), "is empty"),
    "a key torn by zeros": (lambda path: path.write_bytes(LONG.encode() + bytes(64) + b"."), "no text"),
    "too short": (lambda path: path.write_text("k" * 31), "too short"),
    "a known example": (lambda path: path.write_text(next(iter(KNOWN_SECRETS))), "known example"),
    "not UTF-8": (lambda path: path.write_bytes(b"\xff\xfe" * 30), "is not UTF-8"),
    "a folder": (lambda path: path.mkdir(), "is not a file"),
    "a link to nothing": (lambda path: path.symlink_to(path.parent / "nowhere"), "link to nothing"),
    "a link to itself": (lambda path: path.symlink_to(path), "link to nothing"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is not a file"),
}
unfit_files = pytest.mark.parametrize(("spoil", "message"), UNFIT_FILES.values(), ids=list(UNFIT_FILES))


@unfit_files
def test_a_kept_key_that_cannot_be_used_is_refused_with_how_to_mend_it(
    spoil: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "secret_key"
    spoil(path)
    before = os.lstat(path)
    with pytest.raises(UnfitFile, match=message) as caught:
        kept_secret(path)
    assert str(path) in str(caught.value)
    assert "remove it" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert os.lstat(path).st_ino == before.st_ino  # it is the operator's: perhaps the good one can be brought back


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads and writes everything")
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_key_that_may_not_be_read_or_written_is_one_line(mode: int, tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(UnfitFile, match="Permission denied"):
        kept_secret(folder / "secret_key")
    folder.chmod(0o700)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("a file")
    with pytest.raises(UnfitFile, match="no secret key can be kept in"):
        kept_secret(tmp_path / "instance" / "secret_key")


@pytest.mark.parametrize("program", ["import serve; serve.main()", "from flask.cli import main; main()"])
def test_service_and_commands_refuse_an_empty_key_in_one_line(program: str, tmp_path: Path) -> None:
    (tmp_path / "secret_key").touch()
    env = environment(f"sqlite:///{tmp_path}/seckill.db") | {"PORT": str(free_port()), "FLASK_APP": "app"}
    del env["SECKILL_SECRET_KEY"]
    program = f"import sys, pathlib, config; config.INSTANCE = pathlib.Path({str(tmp_path)!r}); {program}"
    ended = subprocess.run(
        [sys.executable, "-c", program, "token", "--user", "alice", "--admin"],
        env=env,
        cwd=config.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1), ended.stderr
    assert "secret_key is empty" in ended.stderr


def test_a_key_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync, link = os.fsync, os.link

    def sync(handle: int) -> None:
        synced.append(os.fstat(handle).st_ino)
        fsync(handle)

    def name(source: Path, target: Path) -> None:
        assert synced == [os.stat(source).st_ino]
        link(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "link", name)
    kept_secret(tmp_path / "instance" / "secret_key")
    assert synced[1:] == [(tmp_path / "instance").stat().st_ino, tmp_path.stat().st_ino]


@pytest.mark.parametrize("uri", [SQLITE, MYSQL])
@pytest.mark.parametrize("blank", [" ", "\t \t", "\u3000" * 40, "\u200b" * 40])
@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
@pytest.mark.parametrize("debug", [False, True])
def test_a_blank_key_is_refused_everywhere(uri: str, blank: str, name: str, debug: bool) -> None:
    given = {"SECRET_KEY": LONG, name: (blank,) if name == "SECRET_KEY_FALLBACKS" else blank}
    with pytest.raises(config.InvalidSettings, match=f"SECKILL_{name} is blank"):
        config.load(SQLALCHEMY_DATABASE_URI=uri, DEBUG=debug, **given)


def test_a_key_of_bytes_that_are_no_text_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECKILL_SECRET_KEY", LONG + "\udcff")
    for uri in (SQLITE, MYSQL):
        with pytest.raises(config.InvalidSettings, match="is not UTF-8"):
            config.load(SQLALCHEMY_DATABASE_URI=uri)


@pytest.mark.parametrize("keys", [("",), (" ",), (LONG, ("",)), (LONG, (LONG, " "))])
def test_no_token_is_signed_or_verified_by_a_blank_key(keys: tuple) -> None:
    with pytest.raises(ValueError, match="blank"):
        Tokens(*keys)


def test_no_application_is_made_with_a_blank_key() -> None:
    settings = config.load(SQLALCHEMY_DATABASE_URI=SQLITE, SECRET_KEY=LONG)
    with pytest.raises(ValueError, match="blank"):  # its cursors would be signed with it
        create_app(settings.model_copy(update={"SECRET_KEY": ""}))


@pytest.mark.parametrize("name", ["secret_key", ".env"])
@pytest.mark.parametrize(("mode", "state"), [(0o600, doctor.State.OK), (0o644, doctor.State.WARNING)])
def test_the_doctor_warns_of_secrets_that_others_can_read(
    name: str, mode: int, state: doctor.State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "INSTANCE", tmp_path)
    monkeypatch.setattr(config, "ENV_FILE", tmp_path / ".env")
    (tmp_path / name).write_text(LONG)
    (tmp_path / name).chmod(mode)
    (finding,) = doctor.secret_files()
    assert (finding.state, str(tmp_path / name) in finding.found) == (state, True)
