"""`flask report`: one page to send, or JSON."""

from pathlib import Path

from flask import Flask

from tests.core.selling import Selling
from tests.database_line import after_database_line
from tests.test_cli import as_json, run


def sold(app: Flask) -> int:
    selling = Selling(app.extensions["seckill"])
    item = selling.item(name="键盘")
    selling.bought(item)
    return item


def test_it_prints_a_page_that_is_the_same_each_time(sqlite_app: Flask) -> None:
    item = sold(sqlite_app)
    first, second = (run(sqlite_app, "report", str(item)) for _ in range(2))
    assert first.exit_code == 0
    assert first.stdout == second.stdout
    assert first.stdout.startswith("<!doctype html>")
    assert "键盘" in first.stdout


def test_it_writes_a_file_in_chinese(sqlite_app: Flask, tmp_path: Path) -> None:
    page = tmp_path / "sale.html"
    result = run(sqlite_app, "report", str(sold(sqlite_app)), "--language", "zh", "-o", str(page))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "销售报告" in page.read_text(encoding="utf-8")


def test_it_prints_json(sqlite_app: Flask) -> None:
    item = sold(sqlite_app)
    assert as_json(sqlite_app, "report", str(item))["units"]["held"] == 1


def test_what_cannot_be_reported_is_one_line(sqlite_app: Flask, tmp_path: Path) -> None:
    missing = run(sqlite_app, "report", "7")
    assert (missing.exit_code, after_database_line(missing.stderr)) == (1, "Error: there is no item 7\n")
    unwritable = run(sqlite_app, "report", str(sold(sqlite_app)), "-o", str(tmp_path / "no" / "x.html"))
    assert unwritable.exit_code == 1
    assert after_database_line(unwritable.stderr).count("\n") == 1
