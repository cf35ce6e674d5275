"""deploy/alerts.yml and deploy/grafana: each alarm rings for what it names, and all that is asked for is there."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from config import ROOT
from core.events import publisher
from core.orders import expiry
from harness.promtool import promtool
from tests.resources.calls import Calls
from tests.test_docs import OPERATIONS

ALERTS = ROOT / "deploy" / "alerts.yml"
CASES = Path(__file__).with_name("alerts_test.yml")
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
ALARMS = re.findall(r"- alert: (\w+)", ALERTS.read_text())
_SUFFIXES = re.compile(r"_(bucket|count|sum)$")


def queries(path: Path) -> list[str]:
    """All queries of a dashboard."""

    def found(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            yield from (text for name, text in value.items() if name in ("expr", "definition"))
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                yield from found(part)

    return list(found(json.loads(path.read_text())))


def queried_metrics() -> dict[str, set[str]]:
    """Each of our metrics that alarms and dashboards ask for, with the labels that they expect of it."""
    labels: dict[str, set[str]] = {}
    rules = re.findall(r"expr: (?:>-\n)?((?:.|\n)*?)\n +(?:for|labels):", ALERTS.read_text())
    for query in [*rules, *(query for path in DASHBOARDS for query in queries(path))]:
        for name, matchers in re.findall(r"(seckill_\w+)(?:\{(.*?)\})?", query):
            labels.setdefault(name, set()).update(re.findall(r"(\w+) *[=!]~?", matchers))
        for names, name in re.findall(r"by \(([\w, ]*)\) \(+(?:\w+\()?(seckill_\w+)", query):
            labels[name].update(names.split(", "))
    return labels


@pytest.mark.promtool
def test_promtool_takes_the_rules() -> None:
    checked = promtool("check", "rules", ALERTS)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"SUCCESS: {len(ALARMS)} rules found" in checked.stdout


@pytest.mark.promtool
def test_every_alarm_rings_for_what_it_names_and_for_nothing_else() -> None:
    tested = promtool("test", "rules", CASES)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.promtool
@pytest.mark.parametrize("alarm", ALARMS)
def test_without_its_rule_an_alarm_does_not_pass_its_cases(alarm: str, tmp_path: Path) -> None:
    broken = re.sub(rf"- alert: {alarm}\b", "- alert: Other", ALERTS.read_text())
    for path in ("deploy", "tests/deploy"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "deploy" / ALERTS.name).write_text(broken)
    shutil.copy(CASES, tmp_path / "tests" / "deploy")
    assert promtool("test", "rules", tmp_path / "tests" / "deploy" / CASES.name).returncode != 0


def test_every_alarm_is_explained() -> None:
    text = (ROOT / "docs" / "observability.md").read_text()
    assert re.findall(r"^\| `(Seckill\w+)` \|", text, flags=re.MULTILINE) == ALARMS


def test_all_that_alarms_and_dashboards_ask_for_is_in_the_metrics(sqlite_app: Flask) -> None:
    # The metrics of a worker's background jobs are there as well, once their modules are.
    assert expiry.ORDERS_EXPIRED
    assert publisher.ATTEMPTS
    families = text_string_to_metric_families(Calls(sqlite_app).get("/metrics").text)
    there = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    # The supervisor's, of whole services alone (tests/test_workers.py).
    there |= {"seckill_workers", "seckill_worker_restarts_total"}
    wanted = {_SUFFIXES.sub("", name) for name in queried_metrics()}
    assert len(wanted) > 20
    assert wanted <= there


def test_all_labels_that_alarms_and_dashboards_expect_are_those_of_their_metrics() -> None:
    documented = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(seckill_\w+)` \|([^|]*)\|", OPERATIONS, flags=re.MULTILINE)
    }
    for name, labels in queried_metrics().items():
        assert labels - {"job", "instance", "le"} <= documented[_SUFFIXES.sub("", name)], name


def test_a_metric_or_label_that_is_not_there_would_be_found() -> None:
    assert {"goods_id", "instance"} <= queried_metrics()["seckill_item_stalled_seconds"]
    assert "status" in queried_metrics()["seckill_http_requests_total"]
    assert {"why", "instance"} <= queried_metrics()["seckill_log_lines_lost_total"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_every_panel_of_a_dashboard_says_what_it_shows_and_has_its_place(path: Path) -> None:
    panels = json.loads(path.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["targets"]
