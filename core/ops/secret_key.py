"""Judges secret keys, and keeps one in a file if the settings have none."""

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path

MIN_SECRET_BYTES = 32
_MAX_FILE_BYTES = 4096
# Keys printed in tutorials and examples: anyone could sign tokens with them.
KNOWN_SECRETS = frozenset(
    {
        "change-me-to-a-random-string-of-32-bytes",
        "changeme" * 4,
        "secret" * 6,
        "you-will-never-guess-this-secret-key",
        "this-is-a-secret-key-please-change-it",
        "your-256-bit-secret-your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "0123456789abcdef0123456789abcdef",
        "super-secret-key-super-secret-key",
    }
)


class UnfitFile(Exception):
    """The key's file cannot be used; the text says which and why, in one line."""


def is_blank(key: str) -> bool:
    """Whether `key` has no visible character: anyone could sign with it."""
    return not any(character.isprintable() and not character.isspace() for character in key)


def fault(key: str) -> str | None:
    """Why `key` must not be used in production; None if it may."""
    if is_blank(key):
        return "is needed" if not key else "is blank"
    try:
        length = len(key.encode())
    except UnicodeEncodeError:  # the environment has bytes that are not text
        return "is not UTF-8"
    if length < MIN_SECRET_BYTES:
        return "is too short"
    return "is a known example" if key.lower() in KNOWN_SECRETS else None


def missing(path: Path) -> str:
    """What to say where there is no key: not in the settings, and not in the file `path`."""
    return f"SECKILL_SECRET_KEY is not set, and there is no {path}: {_FIRST}"


def kept_secret(path: Path, may_make: bool = True) -> str:
    """The secret in the file `path`, made on first use with mode 600 if one may be. Raises UnfitFile."""
    try:
        if not os.path.lexists(path):
            if not may_make:
                raise UnfitFile(missing(path))
            _make(path)
        key = _read(path)
    except UnicodeDecodeError:
        raise UnfitFile(f"{path} is not UTF-8: {_MEND}") from None
    except OSError as error:
        if os.path.islink(path) and not path.exists():
            raise UnfitFile(f"{path} is a link to nothing: {_MEND}") from None
        raise UnfitFile(f"no secret key can be kept in {path}: {error.strerror}") from None
    wrong = "is empty" if is_blank(key) else fault(key)
    if wrong is None and not key.isprintable():
        wrong = "has characters that are no text"
    if wrong:
        raise UnfitFile(f"the secret key in {path} {wrong}: {_MEND}")
    return key


_FIRST = "on a trial start the service once (`make run`), which makes one; else name its settings by SECKILL_ENV_FILE"
_MEND = "remove it, and the next start makes another; tokens that the old key signed end"


def _make(path: Path) -> None:
    """Write a new key to `path`, completely or not at all, even in a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())  # before the link: a crash could otherwise leave a name without content
        # A link, not a rename: of two processes that start at once, the second keeps the first's key.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
    for directory in (path.parent, path.parent.parent):
        _sync(directory)


def _sync(directory: Path) -> None:
    # Some file systems cannot sync a directory; then the link is merely not durable yet.
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read(path: Path) -> str:
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise UnfitFile(f"{path} is not a file: {_MEND}")
    with open(path, "rb") as file:
        return file.read(_MAX_FILE_BYTES).decode().strip()
