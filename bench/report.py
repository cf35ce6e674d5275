"""What was measured, in words and tables for people and as JSON for programs."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from bench import charts
from bench.goals import Outcome, outcomes
from bench.measure import Run
from bench.ratios import Runs, Spread
from bench.servers import PRODUCTS
from bench.stage import Stage
from config import ROOT

# What each scenario's rates are set against; those that are not here are set against the peak of the sweep.
BASES = {
    "hot_item": "textbook",
    "items": "1 item",
    "choices": "plain",
    "sold_out": "bare",
    "reads": "bare",
    "alone": "textbook",
    "slow_clients": "alone",
    "watched": "nobody looks",
    "servers": "mariadb, purchases",
    "generator": "counting",
    "settings": "defaults",
    "limits": "off",
    "limits_reads": "off",
    "events": "off",
    "orders": "few",
}
TITLES = {
    "hot_item": "One hot item",
    "items": "Several items",
    "choices": "With shipping, a coupon, a charset",
    "sold_out": "Sold out",
    "reads": "Reads of the live state",
    "burst": "10,000 buyers at once for 100 units",
    "alone": "One connection",
    "sweep": "From one connection to a thousand",
    "overload": "More than it can serve",
    "flooded": "A flooded item (a quiet one beside it: see the goals)",
    "slow_clients": "Beside slow and idle clients, without a proxy",
    "watched": "Beside a console that looks once a second",
    "servers": "On each kind of server",
    "generator": "What looking at every answer costs the generator",
    "settings": "Other settings than the defaults",
    "limits": "Limits on callers: purchases",
    "limits_reads": "Limits on callers: reads",
    "events": "With and without publishers",
    "orders": "Few and many orders in the table",
}


def write(stage: Stage, where: Path) -> bool:
    """Write results of today to the directory `where`. Returns whether a run is void."""
    where.mkdir(parents=True, exist_ok=True)
    runs = Runs(stage.runs)
    reached = outcomes(runs, stage.options.server)
    facts = _facts(stage)
    server = stage.options.server
    name = f"{datetime.now(timezone.utc):%Y-%m-%d}-{server}"
    results = {
        "server": server,
        **facts,
        "goals": [_goal_json(outcome) for outcome in reached],
        "runs": [run.as_json() for run in stage.runs],
    }
    (where / f"{name}.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    pictures = charts.draw(runs, where, name)
    (where / f"{name}.md").write_text(_text(runs, reached, facts, name, pictures, stage.options.orders))
    return any(run.void for run in stage.runs)


def _facts(stage: Stage) -> dict[str, Any]:
    wrk = _output_of("wrk", "-v").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "taken_at": datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "commit": _output_of("git", "rev-parse", "--short", "HEAD").strip() or None,
        "changed_since": bool(_output_of("git", "status", "--porcelain", "--untracked-files=no")),
        "seconds_a_run": stage.options.seconds,
        "rounds": stage.options.rounds,
        "machine": {"cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory)},
        "versions": {"python": platform.python_version(), "wrk": wrk[1] if len(wrk) > 1 else "unknown"},
        "durability": {
            **{kind: server.durability() for kind, server in stage.databases.items()},
            "redis": stage.redis.durability() if stage.redis else "not started",
        },
        "connections": stage.connections,
    }


def _output_of(program: str, *arguments: str) -> str:
    """What a program prints; nothing where there is no such program."""
    found = shutil.which(program)
    if found is None:
        return ""
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=False, cwd=ROOT).stdout


def _goal_json(outcome: Outcome) -> dict[str, Any]:
    spread = outcome.spread
    return {
        "goal": outcome.goal.name,
        "bound": outcome.goal.bound,
        "at_most": outcome.goal.at_most,
        "values": {"median": spread.median, "low": spread.low, "high": spread.high} if spread else None,
        "outcome": outcome.word,
    }


def _text(
    runs: Runs, reached: list[Outcome], facts: dict[str, Any], name: str, pictures: dict[str, str], orders: int
) -> str:
    void = [run for run in runs.all if run.void]
    parts = [f"# Measured: {name}", _circumstances(facts, orders)]
    if void:
        lines = [f"- {run.scenario}, {run.name}, round {run.round + 1}: {'; '.join(run.problems)}" for run in void]
        parts.append("## VOID\n\nThese runs do not fit the books and count for nothing:\n\n" + "\n".join(lines))
    else:
        parts.append(f"All {len(runs.all)} runs are valid: their counts fit the books, and no audit found a breach.")
    parts.append("## Goals\n\n" + _goals(reached))
    for scenario in runs.scenarios():
        if scenario in TITLES:
            picture = f"\n\n![{TITLES[scenario]}]({pictures[scenario]})" if scenario in pictures else ""
            parts.append(f"## {TITLES[scenario]}\n\n{_table(runs, scenario)}{picture}")
    return "\n\n".join(parts) + "\n"


def _circumstances(facts: dict[str, Any], orders: int) -> str:
    def listed(settings: Any) -> str:
        if isinstance(settings, str):
            return settings
        return ", ".join(f"`{name}` = {value or 'none'}" for name, value in sorted(settings.items()))

    machine, durability = facts["machine"], facts["durability"]
    databases = "\n".join(f"- {PRODUCTS[kind]}: {listed(durability[kind])}" for kind in PRODUCTS if kind in durability)
    chosen = ", ".join(f"{name} {count}" for name, count in facts["connections"].items()) or "64"
    commit = (facts["commit"] or "unknown") + (", with changes" if facts["changed_since"] else "")
    return f"""Generator, servers and database share {machine["cores"]} cores and {machine["memory_gib"]} GiB.
What counts are ratios within one round, in each of which another trial is first. Shown is the median, with the least
and the most in brackets. What each scenario and column is: bench/README.md.

- Rounds: {facts["rounds"]}; seconds a run: {facts["seconds_a_run"]}
- Commit: {commit}
{databases}
- Redis: {listed(durability["redis"])}
- Connections on the hot item, the best of a few for each: {chosen}
- Orders in the large table: {orders:,}
- Python {facts["versions"]["python"]}, wrk {facts["versions"]["wrk"]}"""


def _goals(reached: list[Outcome]) -> str:
    lines = ["| goal | bound | measured | |", "|---|---|---|---|"]
    for outcome in reached:
        sign = "≤" if outcome.goal.at_most else "≥"
        measured = outcome.spread.shown() if outcome.spread else "–"
        lines.append(f"| {outcome.goal.name} | {sign} {outcome.goal.bound:g} | {measured} | {outcome.word} |")
    return "\n".join(lines)


Column = tuple[str, Callable[[Runs, str, str], str]]


def _table(runs: Runs, scenario: str) -> str:
    columns = _BURST if scenario == "burst" else _COLUMNS
    rows = [[name, *(shown(runs, scenario, name) for _, shown in columns)] for name in runs.names(scenario)]
    titles = ["", *(title for title, _ in columns)]
    # A column that says nothing in any row is left out.
    kept = [place for place in range(len(titles)) if place == 0 or any(row[place] not in ("", "0") for row in rows)]
    lines = [[titles[place] for place in kept], ["---"] * len(kept)]
    lines += [[row[place] for place in kept] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _relative(runs: Runs, scenario: str, name: str) -> str:
    if scenario in BASES:
        spread = Spread.of(runs.ratios((scenario, name), (scenario, BASES[scenario])))
    else:
        peaks = [(run.per_second, runs.peak_at(run.round)) for run in runs.of(scenario, name)]
        spread = Spread.of(rate / peak for rate, peak in peaks if peak)
    return spread.shown() if spread else "–"


def _milliseconds(figure: str) -> Callable[[Runs, str, str], str]:
    def shown(runs: Runs, scenario: str, name: str) -> str:
        def of(run: Run) -> float | None:
            seconds = (run.latency or run.wrk_latency).get(figure)
            return None if seconds is None else seconds * 1000

        spread = runs.spread(scenario, name, of)
        return f"{spread.median:,.1f}" if spread else ""

    return shown


def _sum(figure: str) -> Callable[[Runs, str, str], str]:
    return lambda runs, scenario, name: f"{sum(getattr(run, figure) for run in runs.of(scenario, name)):,}"


def _cpu(side: str) -> Callable[[Runs, str, str], str]:
    def shown(runs: Runs, scenario: str, name: str) -> str:
        spread = runs.spread(scenario, name, lambda run: run.cpu.get(side))
        return f"{spread.median:,.0f}" if spread else ""

    return shown


def _histogram(metric: str, scale: float, figure: str = "mean") -> Callable[[Runs, str, str], str]:
    def shown(runs: Runs, scenario: str, name: str) -> str:
        def of(run: Run) -> float | None:
            summary = run.told.get("histograms", {}).get(metric)
            return summary[figure] * scale if summary and summary[figure] is not None else None

        spread = runs.spread(scenario, name, of)
        return f"{spread.median:,.1f}" if spread else ""

    return shown


def _seconds(figure: str) -> Callable[[Runs, str, str], str]:
    def shown(runs: Runs, scenario: str, name: str) -> str:
        spread = runs.spread(scenario, name, lambda run: getattr(run, figure))
        return spread.shown() if spread else ""

    return shown


def _rate(runs: Runs, scenario: str, name: str) -> str:
    spread = runs.spread(scenario, name, lambda run: run.per_second)
    return f"{spread.median:,.0f}" if spread else "void"


_COUNTS: tuple[Column, ...] = tuple(
    (title, _sum(figure))
    for title, figure in {
        "accepted": "accepted",
        "refused": "refused",
        "busy": "busy",
        "failed": "failed",
        "unanswered": "unanswered",
        "never sent": "never_sent",
    }.items()
)
_COSTS: tuple[Column, ...] = (
    ("CPU µs: server", _cpu("server")),
    ("database", _cpu("database")),
    ("client", _cpu("client")),
)
_COLUMNS: tuple[Column, ...] = (
    ("ratio", _relative),
    ("per second", _rate),
    ("p50 ms", _milliseconds("p50")),
    ("p95", _milliseconds("p95")),
    ("p99", _milliseconds("p99")),
    ("max", _milliseconds("max")),
    *_COUNTS,
    *_COSTS,
    ("batch", _histogram("seckill_batch_size", 1)),
    ("transaction ms", _histogram("seckill_purchase_transaction_seconds", 1000)),
    ("lock ms", _histogram("seckill_lock_hold_seconds", 1000)),
)
_BURST: tuple[Column, ...] = (
    ("sold out after s", _seconds("sold_out_after")),
    ("all answered after s", _seconds("answered_after")),
    *_COUNTS,
)
