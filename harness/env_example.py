"""Writes `.env.example`: every setting with its meaning and default, from config.py. `make env-example` runs it."""

import textwrap

from pydantic.fields import FieldInfo

from config import PREFIX, ROOT, Settings

TARGET = ROOT / ".env.example"
_WIDTH = 118
_HEAD = """\
# Every setting with its default, made from config.py by `make env-example`. Copy it to `.env` (mode 600), or to the
# file that SECKILL_ENV_FILE names, and take the `#` away from what you change. The environment wins over the file.
"""


def text() -> str:
    """The text of `.env.example`."""
    return "\n".join([_HEAD, *(_entry(name, field) for name, field in Settings.model_fields.items())])


def _entry(name: str, field: FieldInfo) -> str:
    meaning = textwrap.fill(
        str(field.description), _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
    return f"{meaning}\n#{PREFIX}{name}={_shown(name, field.default)}\n"


def _shown(name: str, value: object) -> str:
    if name == "SQLALCHEMY_DATABASE_URI":
        return "sqlite:///instance/seckill.db"  # the default itself is a path of this host
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    TARGET.write_text(text())
