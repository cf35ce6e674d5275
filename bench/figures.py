"""The service's own metrics at /metrics, and how they changed while a load was on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

PURCHASES = "seckill_purchases_total"
REQUESTS = "seckill_http_requests_total"
# Purchases that are refused ahead of everything else are counted apart.
CACHED_REFUSALS = "seckill_cached_refusals_total"
# The first is brought up to date when a batch ends, the second holds while one is at work.
UNDER_WAY = ("seckill_queue_length", "seckill_purchase_slots_in_use")


@dataclass(frozen=True)
class Figures:
    """All samples of /metrics: by name and labels."""

    samples: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]
    histograms: frozenset[str]

    @classmethod
    def read(cls, url: str) -> "Figures":
        samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        histograms = set()
        for family in text_string_to_metric_families(requests.get(f"{url}/metrics", timeout=20).text):
            if family.type == "histogram" and family.name.startswith("seckill_"):
                histograms.add(family.name)
            for sample in family.samples:
                samples[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
        return cls(samples, frozenset(histograms))

    def since(self, before: "Figures") -> "Figures":
        """The change since `before`."""
        changes = {key: value - before.samples.get(key, 0.0) for key, value in self.samples.items()}
        return Figures(changes, self.histograms)

    def outcomes(self) -> dict[str, int]:
        """Purchase requests by outcome: placed, replayed, or the code of the refusal."""
        return self._by_label(PURCHASES, "outcome")

    def cached_refusals(self) -> dict[str, int]:
        """Purchase requests that were refused without a query to the database, by code."""
        return self._by_label(CACHED_REFUSALS, "code")

    def under_way(self) -> int:
        """Purchase requests that have no outcome yet, and the slots of transactions: none where nobody buys."""
        return round(sum(value for (name, _), value in self.samples.items() if name in UNDER_WAY))

    def statuses(self) -> dict[str, int]:
        """Requests answered, by HTTP status."""
        return self._by_label(REQUESTS, "status")

    def _by_label(self, metric: str, label: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for (name, labels), value in self.samples.items():
            if name == metric and value:
                key = dict(labels)[label]
                found[key] = found.get(key, 0) + round(value)
        return found

    def summaries(self) -> dict[str, dict[str, Any]]:
        """Each histogram of the service: its count, its mean, and its middle from the bucket that has it.

        Histograms with labels are added up over them.
        """
        return {name: summary for name in sorted(self.histograms) if (summary := self._summary(name)) is not None}

    def _summary(self, histogram: str) -> dict[str, Any] | None:
        def total(suffix: str) -> float:
            return sum(value for (name, _), value in self.samples.items() if name == histogram + suffix)

        count = total("_count")
        if not count:
            return None
        below: dict[float, float] = {}
        for (name, labels), value in self.samples.items():
            if name == histogram + "_bucket":
                bound = float(dict(labels)["le"])
                below[bound] = below.get(bound, 0.0) + value
        return {"count": round(count), "mean": total("_sum") / count, "p50": _middle(below, count)}


def _middle(below: Mapping[float, float], count: float) -> float | None:
    """The median by straight interpolation within its bucket; None where it lies in the last, open one."""
    lower, seen = 0.0, 0.0
    for bound in sorted(below):
        if below[bound] >= count / 2:
            if bound == float("inf"):
                return None
            inside = below[bound] - seen
            return lower + (bound - lower) * ((count / 2 - seen) / inside if inside else 1.0)
        lower, seen = bound, below[bound]
    return None
