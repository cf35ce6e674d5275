"""What the newest audit on this host came to, for all its workers."""

import json
import os
import zlib
from dataclasses import asdict, dataclass

from core.db.clock import iso
from core.ops.audit import Report

_BYTES = 4096
_NAMES = 2000  # characters


@dataclass(frozen=True)
class LatestAudit:
    """An audit in short. `began` is by the host's monotonic clock in seconds, `taken_at` by the database's."""

    began: float
    taken_at: str
    checks: int
    breaches: int
    names: str

    @classmethod
    def of(cls, began: float, report: Report) -> "LatestAudit":
        breaches = sum(result.count for result in report.results)
        names = ", ".join(result.check.name for result in report.results if result.count)
        return cls(began, iso(report.taken_at), len(report.results), breaches, names[:_NAMES])


def write(file: int, latest: LatestAudit) -> None:
    """Keep it in the file. Only the holder of the file's lock may write."""
    content = json.dumps(asdict(latest)).encode()
    os.pwrite(file, (b"%08x" % zlib.crc32(content) + content).ljust(_BYTES), 0)


def read(file: int) -> LatestAudit | None:
    """The newest one; None where there is none, or where it is being written."""
    stored = os.pread(file, _BYTES, 0).rstrip()
    content = stored[8:]
    # Readers take no lock: by the checksum they recognize a record that is half old and half new.
    if not content or stored[:8] != b"%08x" % zlib.crc32(content):
        return None
    return LatestAudit(**json.loads(content))
