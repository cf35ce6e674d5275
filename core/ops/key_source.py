"""Where the secret key in use comes from: for people, and without the key."""

import os

import config
from core.ops import secret_key, secrets_folder

KEPT = "instance/secret_key"
_NAME = f"{config.PREFIX}SECRET_KEY"


def source(key: str) -> str:
    """The file, the folder or `the environment` that has `key`; `the caller` where none of them does."""
    # The file first: the flask command copies `.env` into the environment.
    if config.file_values().get(_NAME) == key:
        return ".env" if config.env_file() == config.ENV_FILE else str(config.env_file())
    if os.environ.get(_NAME) == key:
        return "the environment"
    folder = config.secrets_dir()
    if folder is not None and _NAME in secrets_folder.names(folder, config.PREFIX):
        return str(folder)
    return KEPT if _kept_key() == key else "the caller"


def _kept_key() -> str | None:
    kept = config.INSTANCE / "secret_key"
    try:
        return secret_key.kept_secret(kept) if kept.exists() else None
    except (secret_key.UnfitFile, OSError):
        return None
