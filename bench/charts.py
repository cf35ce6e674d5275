"""The pictures of a report, as SVG."""

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.ratios import Runs, Spread

# Distinguishable with colour vision deficiency, on light and dark pages alike.
OURS, OTHERS, THIRD = "#0072b2", "#999999", "#d55e00"
# The same figures make the same file.
mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 10, "axes.spines.top": False})
mpl.rcParams.update({"axes.spines.right": False, "figure.figsize": (7.2, 3.6), "figure.constrained_layout.use": True})


def draw(runs: Runs, where: Path, name: str) -> dict[str, str]:
    """Draw what was measured into `where`; the file's name for each scenario that has a picture."""
    made = {}
    for scenario, picture in {
        "hot_item": _hot_item,
        "items": _items,
        "sweep": _sweep,
        "overload": _overload,
    }.items():
        if scenario not in runs.scenarios():
            continue
        figure = picture(runs)
        if figure is not None:
            made[scenario] = f"{name}-{scenario}.svg"
            figure.savefig(where / made[scenario], metadata={"Date": None, "Creator": None})
            plt.close(figure)
    return made


def _bars(axes: Axes, rows: list[tuple[str, Spread]], ours: set[str]) -> None:
    for place, (name, spread) in enumerate(reversed(rows)):
        axes.barh(place, spread.median, color=OURS if name in ours else OTHERS)
        axes.plot([spread.low, spread.high], [place, place], color="black", linewidth=1.5)
        axes.annotate(f" {spread.median:.3g}", (spread.high, place), va="center")
    axes.set_xmargin(0.08)
    axes.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])


def _ratios(runs: Runs, scenario: str, base: str) -> list[tuple[str, Spread]]:
    found = [
        (name, Spread.of(runs.ratios((scenario, name), (scenario, base)))) for name in sorted(runs.names(scenario))
    ]
    return sorted(((name, spread) for name, spread in found if spread is not None), key=lambda row: row[1].median)


def _hot_item(runs: Runs) -> Figure | None:
    rows = _ratios(runs, "hot_item", "textbook")
    if not rows:
        return None
    figure, axes = plt.subplots()
    # Points, not bars: on this scale there is no zero for a bar to begin at.
    for place, (name, spread) in enumerate(reversed(rows)):
        colour = OURS if name == "ours" else OTHERS
        axes.plot([spread.low, spread.high], [place, place], color=colour, linewidth=2)
        axes.plot(spread.median, place, color=colour, marker="o", markersize=8)
        axes.annotate(f"{spread.median:.3g}", (spread.median, place), (0, 8), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])
    axes.set_ylim(-0.5, len(rows) - 0.2)
    axes.grid(axis="x", color="#dddddd")
    axes.set_xscale("log")
    axes.set_xlabel("answers a second on one hot item, textbook = 1 (median, least to most)")
    return figure


def _items(runs: Runs) -> Figure | None:
    order = ("1 item", "8 items", "100 items", "1,000 items", "1,000 items, zipf")
    ratios = dict(_ratios(runs, "items", "1 item"))
    rows = [(name, ratios[name]) for name in order if name in ratios]
    if not rows:
        return None
    figure, axes = plt.subplots()
    _bars(axes, rows, set(order))
    axes.set_xlabel("purchases a second, one item = 1 (median, least to most)")
    return figure


def _sweep(runs: Runs) -> Figure | None:
    points = []
    for name in sorted(runs.names("sweep"), key=int):
        peaks = [(run.per_second, runs.peak_at(run.round)) for run in runs.of("sweep", name)]
        rate = Spread.of(rate / peak for rate, peak in peaks if peak)
        middle = runs.spread("sweep", name, lambda run: (run.latency or {}).get("p50"))
        tail = runs.spread("sweep", name, lambda run: (run.latency or {}).get("p99"))
        if rate and middle and tail:
            points.append((int(name), rate, middle.median * 1000, tail.median * 1000))
    if not points:
        return None
    counts = [count for count, *_ in points]
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(7.2, 5.2))
    above.plot(counts, [rate.median for _, rate, *_ in points], color=OURS, marker="o")
    above.fill_between(
        counts, [rate.low for _, rate, *_ in points], [rate.high for _, rate, *_ in points], color=OURS, alpha=0.2
    )
    above.set_ylim(0, 1.05)
    above.set_ylabel("purchases a second,\npeak of the round = 1")
    below.plot(counts, [middle for *_, middle, _ in points], color=OURS, marker="o", label="p50")
    below.plot(counts, [tail for *_, tail in points], color=THIRD, marker="s", label="p99")
    below.set_yscale("log")
    below.set_xscale("log", base=2)
    below.set_xticks(counts, [str(count) for count in counts])
    below.set_ylabel("milliseconds")
    below.set_xlabel("connections")
    below.legend(frameon=False)
    return figure


def _overload(runs: Runs) -> Figure | None:
    names = sorted(runs.names("overload"))
    rows = []
    for name in names:
        peaks = [(run.per_second, runs.peak_at(run.round)) for run in runs.of("overload", name)]
        goodput = Spread.of(rate / peak for rate, peak in peaks if peak)
        if goodput:
            rows.append((name, goodput))
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(7.2, 2.2))
    _bars(axes, rows, set(names))
    axes.set_xlabel("purchases a second, peak of the sweep = 1 (median, least to most)")
    return figure
