"""Settings from files of their own, in the folder that SECKILL_SECRETS_DIR names."""

from collections.abc import Callable
from pathlib import Path

import pytest

import config
from config import InvalidSettings, Settings
from core.ops import doctor
from core.ops.secrets_folder import MAX_BYTES

KEY = "a-key-from-a-file-of-its-own-0123456789"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Puts files into the folder that is named: `write(SECKILL_SECRET_KEY=b"…")`."""
    monkeypatch.setitem(Settings.model_config, "env_file", None)
    monkeypatch.setattr(config, "ENV_FILE", tmp_path / ".env")
    monkeypatch.setattr(config, "INSTANCE", tmp_path / "instance")
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("SECKILL_SECRETS_DIR", str(folder))

    def into(**files: bytes) -> Path:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return folder

    return into


@pytest.mark.parametrize("name", ["SECKILL_SECRET_KEY", "seckill_secret_key"])
def test_a_file_gives_its_setting_without_its_last_line_feed(write: Write, name: str) -> None:
    folder = write(**{name: f"{KEY}\n".encode()})
    settings = config.load()
    assert settings.SECRET_KEY == KEY
    assert config.unknown_names() == []
    assert str(folder) in next(found.found for found in doctor.examine_settings(settings) if found.name == "secret")


def test_no_folder_is_read_that_is_not_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(SECKILL_SECRET_KEY=KEY.encode())
    monkeypatch.delenv("SECKILL_SECRETS_DIR")
    assert config.load(first_start=True).SECRET_KEY != KEY


def test_the_environment_and_the_file_of_settings_win(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(SECKILL_SECRET_KEY=KEY.encode(), SECKILL_BATCH_MAX=b"7", SECKILL_QUEUE_MAX=b"7")
    (tmp_path / "settings").write_text("SECKILL_BATCH_MAX=8\n")
    monkeypatch.setenv("SECKILL_ENV_FILE", str(tmp_path / "settings"))
    monkeypatch.setenv("SECKILL_SECRET_KEY", "k" * 40)
    settings = config.load()
    assert (settings.SECRET_KEY, settings.BATCH_MAX, settings.QUEUE_MAX) == ("k" * 40, 8, 7)


def test_links_are_followed_as_kubernetes_makes_them(write: Write) -> None:
    folder = write()
    (folder / "..data").mkdir()
    (folder / "..data" / "SECKILL_SECRET_KEY").write_text(KEY)
    (folder / "SECKILL_SECRET_KEY").symlink_to(Path("..data", "SECKILL_SECRET_KEY"))
    assert config.load().SECRET_KEY == KEY


def test_files_of_others_may_lie_there_and_misspelt_ones_are_told(write: Write) -> None:
    write(SECKILL_SECRET_KEY=KEY.encode(), mysql_password=b"", SECKILL_SECRET_KEYS=b"x")
    config.load()
    assert config.unknown_names() == ["SECKILL_SECRET_KEYS"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"\xff" * 40, "is not UTF-8"), (b"x" * (MAX_BYTES + 1), "has over")],
)
def test_a_file_that_says_nothing_stops_the_start(write: Write, content: bytes, complaint: str) -> None:
    write(SECKILL_SECRET_KEY=content)
    with pytest.raises(InvalidSettings, match=f"^SECKILL_SECRETS_DIR: .*SECKILL_SECRET_KEY {complaint}"):
        config.load(first_start=True)


def test_a_folder_that_is_not_there_or_a_folder_in_place_of_a_file_stops_the_start(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    (write() / "SECKILL_SECRET_KEY").mkdir()
    with pytest.raises(InvalidSettings, match="is not a file"):
        config.load(first_start=True)
    monkeypatch.setenv("SECKILL_SECRETS_DIR", "/nowhere")
    with pytest.raises(InvalidSettings, match=r"/nowhere cannot be read: No such file or directory"):
        config.load(first_start=True)


def test_a_wrong_value_is_not_shown(write: Write) -> None:
    write(SECKILL_SECRET_KEY=KEY.encode(), SECKILL_SQLALCHEMY_DATABASE_URI=b"mysql://u:hunter2@h/d")
    with pytest.raises(InvalidSettings) as error:
        config.load()
    assert "hunter2" not in str(error.value.message)


def test_where_settings_lie_is_said_by_the_environment_alone(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    (tmp_path / "settings").write_text("SECKILL_INSTANCE=/elsewhere\n")
    monkeypatch.setenv("SECKILL_ENV_FILE", str(tmp_path / "settings"))
    assert config.unknown_names() == ["SECKILL_INSTANCE"]
