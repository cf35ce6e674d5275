"""Spans of the reads of items, each of which serves all requests that waited for it."""

import contextlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future

from opentelemetry.trace import Span

from core.db.database import AnyRow
from core.purchase.sale_cache import CachedSale, Count, Read, Rest, SaleCache
from core.tracing.tracer import Tracer, current

_SPANS_MAX = 4096  # beyond that the oldest have no link


class TracedSaleCache(SaleCache):
    """Reads items, and traces the reads for which requests wait that are traced. Shared by all threads of a process."""

    def __init__(self, tracer: Tracer, read: Read, count: Count, rest: Rest) -> None:
        super().__init__(self._read_for_all, count, rest)
        self._tracer = tracer
        self._read_rows = read
        self._waiting_spans: deque[Span] = deque(maxlen=_SPANS_MAX)

    def look(self, question: str, goods_id: int) -> "CachedSale | Future[CachedSale | None] | None":
        """As SaleCache's."""
        span = current()
        if span is None:
            return super().look(question, goods_id)
        self._waiting_spans.append(span)  # ahead of the look: the read may begin at once
        waits = False
        try:
            found = super().look(question, goods_id)
            waits = isinstance(found, Future) and not found.done()
        finally:
            if not waits:
                with contextlib.suppress(ValueError):  # a read has taken it meanwhile
                    self._waiting_spans.remove(span)
        return found

    def _read_for_all(self, ids: Sequence[int]) -> Sequence[AnyRow]:
        spans = [self._waiting_spans.popleft() for _ in range(len(self._waiting_spans))]
        if not spans:
            return self._read_rows(ids)
        with self._tracer.shared("item read", spans) as span:
            span.set_attribute("seckill.items", len(ids))
            return self._read_rows(ids)
