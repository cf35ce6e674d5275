"""Everything that a request needs, put together once in each process."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from config import Settings
from core.database import Database
from core.purchase.checkout import Checkout
from core.purchase.in_progress import InProgress
from core.tokens import Tokens

DRAINING = "draining"


@dataclass(frozen=True)
class Shop:
    """The parts of a running sale. Safe to share between threads."""

    settings: Settings
    database: Database
    tokens: Tokens
    in_progress: InProgress
    checkout: Checkout

    @classmethod
    def open(cls, settings: Settings, engine: Engine) -> "Shop":
        """Put the parts together; opens no connection."""
        database = Database(engine, settings)
        in_progress = InProgress(settings.RUNTIME_DIR)
        return cls(
            settings,
            database,
            Tokens(settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS),
            in_progress,
            Checkout(database, in_progress),
        )

    @property
    def draining(self) -> bool:
        """Whether this host is about to stop: the supervisor says so with a file (serve.py)."""
        directory: Path | None = self.settings.RUNTIME_DIR
        return directory is not None and (directory / DRAINING).exists()
