"""`GET /audit`: what `flask audit` finds, one at a time and not without an end."""

import fcntl
import multiprocessing
import os

import pytest
from flask import Flask

from core.ops import audit
from core.ops.auditor import Auditor
from core.ops.host_memory import HostMemory
from core.refusals import Busy, Unavailable
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


def test_while_another_worker_makes_one_it_is_busy(sqlite_app: Flask) -> None:
    call = Calls(sqlite_app)
    item = call.create()["id"]
    fork = multiprocessing.get_context("fork")
    held, done = fork.Event(), fork.Event()
    other = fork.Process(target=hold, args=(call.services.auditor._host.audit_file, held, done))
    other.start()
    assert held.wait(60)
    problem(call.get("/audit", OPERATOR), 503, "busy")
    problem(call.get(f"/goods/{item}/report", OPERATOR), 503, "busy")
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
    with auditor._alone(), pytest.raises(Busy):
        auditor.run()
