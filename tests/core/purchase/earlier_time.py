"""Purchases that are decided by an earlier time than they should be: what the twin of a test of the time runs with."""

from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Connection

from core.db.clock import database_now
from core.purchase import statements


def decide_by_the_time_before(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> None:
    """Decide by the database's time just before `name` of `module` is called, a function of a connection."""
    moments: list[datetime] = []
    function, standing = getattr(module, name), statements.standing

    def look_and_call(connection: Connection, *arguments: Any) -> Any:
        moments.append(database_now(connection))
        return function(connection, *arguments)

    def at_that_time(*arguments: Any) -> Any:
        found = standing(*arguments)
        return statements.Standing(found.orders, found.held, moments[-1])

    monkeypatch.setattr(module, name, look_and_call)
    monkeypatch.setattr(statements, "standing", at_that_time)
    # An order that comes so long after its time is decided anew: the second guard.
    monkeypatch.setattr(statements, "INSERTED_WITHIN", timedelta(minutes=1))
