"""Metrics for Prometheus, summed over the workers of a host, in their shared memory (core/ops/host_memory.py).

prometheus_client itself keeps a mapped file for each process: truncating one kills its process, removing one breaks
/metrics and every new worker, and those of dead processes accumulate.
"""

import json
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from prometheus_client import values
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from core.ops.host_memory import HostMemory

_WORD = 8
_GAUGES = ("livesum", "livemax", "mostrecent")
_lock = threading.Lock()
_all: "list[SharedValue]" = []
_book: "_Book | None" = None

Labels = tuple[tuple[str, str], ...]


class _Book:
    """Numbers by key, in a piece of memory: the number of used words, then entries of a key, a value and a time.

    Its only writer can be killed at any moment: an entry counts once the number of words includes it.
    """

    def __init__(self, memory: memoryview) -> None:
        self._bytes = memory
        self._words = memory.cast("q")
        self.numbers = memory.cast("d")

    def open(self) -> "_Book":
        """Make this process the one that writes."""
        self._words[0] = self._words[0] or 1
        self._places = dict(self.entries())
        return self

    def entries(self) -> Iterator[tuple[bytes, int]]:
        """Each key and the word with its value; the next word has the time."""
        word, used = 1, min(self._words[0], len(self._words))
        while word < used:
            length = self._words[word]
            place = word + 1 + -(-length // _WORD)
            if length <= 0 or place + 2 > used:
                return
            yield bytes(self._bytes[(word + 1) * _WORD : (word + 1) * _WORD + length]), place
            word = place + 2

    def place(self, key: bytes) -> int | None:
        """The word with the value of `key`, in a new entry if necessary; None if the memory is full."""
        if key in self._places:
            return self._places[key]
        word = self._words[0]
        place = word + 1 + -(-len(key) // _WORD)
        if place + 2 > len(self._words):
            return None
        self._words[word] = len(key)
        self._bytes[(word + 1) * _WORD : (word + 1) * _WORD + len(key)] = key
        self.numbers[place] = self.numbers[place + 1] = 0.0
        self._words[0] = place + 2
        self._places[key] = place
        return place


class SharedValue:
    """One value of a metric, with the interface of prometheus_client; private to the process until `keep_in`."""

    _multiprocess = True

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Iterable[str],
        labelvalues: Iterable[str],
        help_text: str,
        multiprocess_mode: str = "",
        **_: Any,
    ) -> None:
        if typ == "gauge" and multiprocess_mode not in _GAUGES:
            raise ValueError(f"the gauge {metric_name} needs a multiprocess_mode of {', '.join(_GAUGES)}")
        labels = sorted(zip(labelnames, labelvalues, strict=True))
        self._key = json.dumps([typ, multiprocess_mode, metric_name, name, labels, help_text]).encode()
        self._of_the_living = multiprocess_mode.startswith("live")
        self._value = 0.0
        self._book: _Book | None = None
        self._place = 0
        with _lock:
            _all.append(self)
            if _book is not None:
                self.keep_in(_book)

    def keep_in(self, book: _Book) -> None:
        """Continue from the value in `book`. If `book` is full, the value stays private to the process."""
        place = book.place(self._key)
        if place is None:
            return
        if self._of_the_living:
            book.numbers[place] = 0.0
        self._book, self._place, self._value = book, place, book.numbers[place]

    def inc(self, amount: float) -> None:
        with _lock:
            self._value += amount
            if self._book is not None:
                self._book.numbers[self._place] = self._value

    def set(self, value: float, timestamp: float | None = None) -> None:
        with _lock:
            self._value = value
            if self._book is not None:
                self._book.numbers[self._place] = value
                self._book.numbers[self._place + 1] = timestamp or 0.0

    def get(self) -> float:
        return self._value

    def set_exemplar(self, exemplar: Any) -> None:
        pass

    def get_exemplar(self) -> None:
        return None


values.ValueClass = SharedValue  # prometheus_client's README documents this replacement


def keep_in(memory: memoryview) -> None:
    """Keep this process's metrics in `memory` from now on, and continue from the values there."""
    global _book
    with _lock:
        _book = _Book(memory).open()
        for value in _all:
            value.keep_in(_book)


class HostFigures(Collector):
    """The metrics of all present and past workers of a host, summed."""

    def __init__(self, host: HostMemory) -> None:
        self._host = host

    def collect(self) -> Iterable[Metric]:
        metrics: dict[str, Metric] = {}
        sums: dict[tuple[str, str, Labels], float] = {}
        times: dict[tuple[str, str, Labels], float] = {}
        for part in self._host.parts:
            alive = part.alive
            book = _Book(part.figures)
            for key, place in book.entries():
                kind, mode, metric, name, labels, text = _read(key)
                if mode.startswith("live") and not alive:
                    continue
                metrics.setdefault(metric, Metric(metric, text, kind))
                at, value, time = (metric, name, labels), book.numbers[place], book.numbers[place + 1]
                if mode == "livemax":
                    sums[at] = max(sums.get(at, value), value)
                elif mode != "mostrecent":
                    sums[at] = sums.get(at, 0.0) + value
                elif time >= times.get(at, 0.0):
                    sums[at], times[at] = value, time
        for (metric, name, labels), value in sums.items():
            if metrics[metric].type != "histogram" or not name.endswith("_bucket"):
                metrics[metric].add_sample(name, dict(labels), value)
        for metric, buckets in _histograms(sums).items():
            for labels, counts in buckets.items():
                total = 0.0
                for bound, count in sorted(counts.items()):
                    total += count
                    metrics[metric].add_sample(
                        f"{metric}_bucket", {**dict(labels), "le": floatToGoString(bound)}, total
                    )
                metrics[metric].add_sample(f"{metric}_count", dict(labels), total)
        return [*metrics.values(), *self._workers()]

    def _workers(self) -> Iterable[Metric]:
        at_work = sum(part.alive and part.started for part in self._host.parts)
        yield GaugeMetricFamily("seckill_workers", "Workers that accept requests now.", at_work)
        yield CounterMetricFamily(
            "seckill_worker_restarts_total", "Workers that ended, and that others replace.", self._host.restarts
        )


def _histograms(sums: dict[tuple[str, str, Labels], float]) -> dict[str, dict[Labels, dict[float, float]]]:
    """The buckets of each histogram, by its other labels and their bounds."""
    found: dict[str, dict[Labels, dict[float, float]]] = {}
    for (metric, name, labels), value in sums.items():
        bound = dict(labels).get("le")
        if bound is not None and name == f"{metric}_bucket":
            others = tuple(label for label in labels if label[0] != "le")
            found.setdefault(metric, {}).setdefault(others, {})[float(bound)] = value
    return found


@lru_cache(maxsize=10_000)
def _read(key: bytes) -> tuple[str, str, str, str, Labels, str]:
    kind, mode, metric, name, labels, text = json.loads(key)
    return kind, mode, metric, name, tuple((label, value) for label, value in labels), text
