"""Settings in files of their own, each called as its setting: secrets of Docker and Kubernetes, systemd's credentials.

pydantic-settings reads them. Here is what it does not look at: a folder or a file that cannot be read, or is empty,
would silently be no setting.
"""

from collections.abc import Iterator
from pathlib import Path

from core.ops.secret_key import UnfitFile

MAX_BYTES = 1 << 16


def require_fit(folder: Path, prefix: str) -> None:
    """Raise UnfitFile unless every file of a setting in `folder` is text of at most MAX_BYTES, and not blank."""
    path = folder
    try:
        for path in _files(folder, prefix):
            if not path.is_file():
                raise UnfitFile(f"{path} is not a file")
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise UnfitFile(f"{path} has over {MAX_BYTES} bytes")
            if not content.decode().strip():
                raise UnfitFile(f"{path} is empty")
    except UnicodeDecodeError:
        raise UnfitFile(f"{path} is not UTF-8") from None
    except OSError as error:
        raise UnfitFile(f"{path} cannot be read: {error.strerror}") from None


def names(folder: Path, prefix: str) -> list[str]:
    """The names of settings that files in `folder` give, in upper case as in the environment."""
    return [path.name.upper() for path in _files(folder, prefix)]


def _files(folder: Path, prefix: str) -> Iterator[Path]:
    # Others may lie there too: a secret of another program, and Kubernetes' own folders.
    return (path for path in sorted(folder.iterdir()) if path.name.upper().startswith(prefix))
