"""Everything that a request needs, put together once in each process."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from config import Settings
from core import goods
from core.database import Database
from core.purchase.checkout import Checkout
from core.purchase.gate import Gate
from core.purchase.in_progress import InProgress
from core.readiness import Readiness
from core.shares import Share
from core.tokens import Tokens

DRAINING = "draining"


@dataclass(frozen=True)
class Shop:
    """The parts of a running sale. Safe to share between threads."""

    settings: Settings
    database: Database
    tokens: Tokens
    in_progress: InProgress
    gate: Gate
    checkout: Checkout
    readiness: Readiness
    runtime_dir: Path | None

    @classmethod
    def open(
        cls, settings: Settings, engine: Engine, runtime_dir: Path | None = None, threads: int | None = None
    ) -> "Shop":
        """Put the parts together; opens no connection. The workers of a host share `runtime_dir`, if there is one.

        `threads` of this process answer what waits, where their number is known.
        """
        database = Database(engine, settings)
        in_progress = InProgress(runtime_dir)
        watching = database.of(Share.WATCH)
        gate = Gate(lambda ids: goods.read_all(watching, ids))
        return cls(
            settings,
            database,
            Tokens(settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS),
            in_progress,
            gate,
            Checkout(database, in_progress, gate, threads),
            Readiness(database, lambda: _is_draining(runtime_dir)),
            runtime_dir,
        )

    @property
    def draining(self) -> bool:
        """Whether this host is about to stop: the supervisor says so with a file (serve.py)."""
        return _is_draining(self.runtime_dir)


def _is_draining(runtime_dir: Path | None) -> bool:
    return runtime_dir is not None and (runtime_dir / DRAINING).exists()
