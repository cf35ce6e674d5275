"""`GET /audit`: what `flask audit` finds, one at a time and not without an end."""

import fcntl
import math
import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from config import Settings
from core.ops import audit
from core.ops.auditor import REPORT_SECONDS, Auditor
from core.ops.host_memory import HostMemory
from core.refusals import Busy, Unavailable
from core.report import sale_report
from resources.audit_models import AuditReport
from tests.resources.calls import OPERATOR, Calls, problem


def test_it_finds_what_the_command_finds(call: Calls) -> None:
    item = call.create()["id"]
    call.buy(item)
    clean = call.get("/audit", OPERATOR).json
    assert clean["ok"]
    AuditReport.model_validate(clean)
    with call.services.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE goods SET stock = stock - 1 WHERE id = {item}")
    found = call.get("/audit", OPERATOR).json
    assert not found["ok"]
    same = audit.as_object(audit.run(call.services.settings))
    assert {**found, "taken_at": ""} == {**same, "taken_at": ""}


def hold(file: int, held: "multiprocessing.synchronize.Event", done: "multiprocessing.synchronize.Event") -> None:
    fcntl.lockf(file, fcntl.LOCK_EX)
    held.set()
    done.wait(60)
    os._exit(0)


def test_while_another_worker_makes_one_it_is_busy(make_app: Callable[..., Flask], sqlite_uri: str) -> None:
    host = HostMemory()
    call = Calls(make_app(sqlite_uri, host))
    item = call.create()["id"]
    fork = multiprocessing.get_context("fork")
    held, done = fork.Event(), fork.Event()
    other = fork.Process(target=hold, args=(host.audit_file, held, done))
    other.start()
    assert held.wait(60)
    for path in ("/audit", f"/goods/{item}/report"):
        answer = call.get(path, OPERATOR)
        problem(answer, 503, "busy")
        assert int(answer.headers["Retry-After"]) * 30 > REPORT_SECONDS, "the console asks thirty times"
    other.kill()
    other.join()
    assert call.get("/audit", OPERATOR).status_code == 200
    assert call.get(f"/goods/{item}/report", OPERATOR).status_code == 200


def test_one_that_takes_too_long_is_ended_and_the_next_can_be_made(sqlite_app: Flask) -> None:
    auditor = Auditor(sqlite_app.extensions["seckill"].settings, HostMemory())
    with pytest.raises(Unavailable):
        auditor.run(seconds=0)
    assert auditor.latest(60) is None
    assert auditor.run().clean
    assert auditor.latest(60) is not None
    assert auditor.latest(0) is None


def test_a_thread_of_the_same_worker_is_busy_too(sqlite_app: Flask) -> None:
    auditor = sqlite_app.extensions["seckill"].auditor
    with auditor.alone(), pytest.raises(Busy):
        auditor.run()


def test_while_a_report_is_made_of_an_audit_others_are_busy(sqlite_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    call = Calls(sqlite_app)
    path = f"/goods/{call.create()['id']}/report"
    make, given = sale_report.make, []

    def meanwhile(settings: Settings, item: int, audited: audit.Report, seconds: float) -> dict[str, Any]:
        given.append(seconds)
        problem(call.get(path, OPERATOR), 503, "busy")
        problem(call.get("/audit", OPERATOR), 503, "busy")
        return make(settings, item, audited, seconds)

    monkeypatch.setattr(sale_report, "make", meanwhile)
    assert call.get(path, OPERATOR).status_code == 200
    (seconds,) = given
    assert 0 < seconds < REPORT_SECONDS, "the audit's time counts"
    monkeypatch.undo()
    assert call.get(path, OPERATOR).status_code == 200


def test_an_audit_is_known_to_all_workers_of_the_host(sqlite_app: Flask) -> None:
    settings, host = sqlite_app.extensions["seckill"].settings, HostMemory()
    mine, other = Auditor(settings, host), Auditor(settings, host)
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=other.run)
    child.start()
    child.join()
    assert child.exitcode == 0
    latest = mine.latest(math.inf)
    assert latest is not None
    assert (latest.breaches, latest.names) == (0, "")
    assert latest.checks == len(audit.CHECKS)


def test_a_record_of_an_audit_that_is_half_written_is_none(sqlite_app: Flask) -> None:
    host = HostMemory()
    auditor = Auditor(sqlite_app.extensions["seckill"].settings, host)
    auditor.run()
    assert auditor.latest(math.inf) is not None
    os.pwrite(host.audit_file, b"x", 20)
    assert auditor.latest(math.inf) is None
