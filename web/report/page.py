"""Renders a report as HTML. The same report gives the same bytes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.catalogue.pricing import shown
from core.db.clock import iso
from web.report import charts
from web.report.charts import Axis
from web.report.texts import outcome, text

_HERE = Path(__file__).resolve().parent
# Below web/: what a page that links to its styles serves.
STYLESHEET = "report/report.css"
LANGUAGES = ("en", "zh")


def render(report: Mapping[str, Any], language: str = "en", stylesheet: str | None = None) -> str:
    """The report (core/report/sale_report.py) as one HTML page in English or Chinese.

    Its styles are within it, so that it can be sent as a file; with `stylesheet`, the address of STYLESHEET, they are
    linked to, as a strict Content-Security-Policy demands. It loads nothing else and has no script.
    """
    language = language if language in LANGUAGES else "en"
    template = _environment().get_template("report.html")
    styles = None if stylesheet else (_HERE / "report.css").read_text(encoding="utf-8")
    return template.render(
        report=report,
        language=language,
        stylesheet=stylesheet,
        styles=styles,
        t=lambda name: text(name, language),
        outcome=lambda code: outcome(code, language),
        charts=_charts(report, language),
        highlights=_highlights(report, language),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["time"] = _time
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["ms"] = lambda number: "–" if number is None else f"{number:,.1f} ms"
    environment.filters["percent"] = _percent
    environment.filters["money"] = shown
    return environment


def _time(moment: str | None) -> str:
    return "–" if moment is None else moment.replace("T", " ").removesuffix("Z")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.2f} %"


def _highlights(report: Mapping[str, Any], language: str) -> list[tuple[str, str, str]]:
    """What one wants to know first: a name, a figure and a word on it."""
    paid = [shown(each["paid"], each["currency"]) for each in report["revenue"]]
    seconds = report["course"]["seconds_to_sell_out"]
    audit = report["audit"]
    breaches = sum(each["rows"] for each in audit["breaches"]) + audit["of_other_items"]
    found = text("clean", language) if audit["ok"] else f"{breaches:,} {text('breaches', language)}"
    return [
        (text("sold", language), f"{report['units']['held']:,}", f"{report['offered']:,} {text('offered', language)}"),
        (text("revenue", language), " + ".join(paid) or "–", ""),
        (
            text("sell_out", language),
            "–" if seconds is None else f"{seconds:,.1f} s",
            text("not_sold_out", language) if seconds is None else "",
        ),
        (
            text("requests", language),
            f"{report['demand']['requests']:,}",
            f"{report['peak']['requests_per_second']:,} {text('per_second', language)}",
        ),
        (text("served_in_order", language), _percent(report["order_of_service"]["in_order"]), ""),
        (text("audit", language), found, f"{audit['checks']} {text('checks', language)}"),
    ]


def _charts(report: Mapping[str, Any], language: str) -> dict[str, Any]:
    chart = report["chart"]
    count = len(chart["orders"])
    if not count:
        return {}
    begin = datetime.fromisoformat(chart["from"])
    end = begin + timedelta(seconds=chart["seconds"] * count)
    axis = Axis(_time(iso(begin)), _time(iso(end)))
    refused = {outcome(code, language): values for code, values in (chart["refusals"] | chart["failures"]).items()}
    rest = [total - sum(values[place] for values in refused.values()) for place, total in enumerate(chart["requests"])]
    series = {text("answered", language): rest, **refused}
    return {
        "orders": charts.columns(text("chart_orders", language), {"": chart["orders"]}, axis),
        "stock": charts.steps(text("chart_stock", language), chart["stock"], axis),
        "requests": charts.columns(text("chart_requests", language), series, axis),
        "legend": [(number % 8, name) for number, name in enumerate(series)],
    }
