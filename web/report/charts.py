"""Charts as SVG: columns and steps over time. Colours are classes of report.css; no style and no script."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH, HEIGHT = 720, 200
_LEFT, _TOP, _BOTTOM = 56, 12, 26
_COLOURS = 8
_SVG = Markup('<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{parts}</svg>')


class Axis(NamedTuple):
    """What is under a chart: a label at its begin and at its end."""

    begin: str
    end: str


def columns(label: str, series: Mapping[str, Sequence[int]], axis: Axis) -> Markup:
    """Columns of one value for each interval, those of several series upon one another."""
    count = max((len(values) for values in series.values()), default=0)
    totals = [sum(values[place] for values in series.values()) for place in range(count)]
    top = _nice(max(totals, default=0))
    width = (WIDTH - _LEFT) / max(1, count)
    below = [0] * count
    drawn = []
    for number, values in enumerate(series.values()):
        for place, value in enumerate(values):
            if value:
                high, low = _y(below[place] + value, top), _y(below[place], top)
                drawn.append(
                    Markup('<rect class="s{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                        number % _COLOURS,
                        _number(_LEFT + place * width),
                        _number(high),
                        _number(max(width * 0.9, 0.5)),
                        _number(low - high),
                    )
                )
                below[place] += value
    return _framed(label, drawn, top, axis)


def steps(label: str, values: Sequence[int], axis: Axis) -> Markup:
    """A line that stays until the next interval."""
    top = _nice(max(values, default=0))
    width = (WIDTH - _LEFT) / max(1, len(values))
    path: list[str] = []
    for place, value in enumerate(values):
        y, begin, end = (_number(each) for each in (_y(value, top), _LEFT + place * width, _LEFT + (place + 1) * width))
        path.append(f"{'L' if path else 'M'}{begin} {y}L{end} {y}")
    drawn = [Markup('<path class="line" d="{}"/>').format("".join(path))] if path else []
    return _framed(label, drawn, top, axis)


def _framed(label: str, drawn: Sequence[Markup], top: int, axis: Axis) -> Markup:
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = _number(_y(top * share, top))
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_LEFT, WIDTH, y, y))
        value = f"{top * share:,.0f}" if top > 1 or share != 0.5 else ""
        parts.append(Markup('<text class="tick" x="{}" y="{}">{}</text>').format(_LEFT - 6, y, value))
    foot = HEIGHT - 6
    parts += drawn
    parts.append(Markup('<text class="begin" x="{}" y="{}">{}</text>').format(_LEFT, foot, axis.begin))
    parts.append(Markup('<text class="end" x="{}" y="{}">{}</text>').format(WIDTH, foot, axis.end))
    return _SVG.format(width=WIDTH, height=HEIGHT, label=escape(label), parts=Markup("").join(parts))


def _y(value: float, top: int) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / max(1, top)


def _nice(most: int) -> int:
    """The first of 1, 2, 5, 10, 20, … that is not below."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if factor * size >= most:
                return factor * size
        size *= 10


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
