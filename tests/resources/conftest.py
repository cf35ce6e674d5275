"""What the tests of the resources share."""

import pytest
from flask import Flask

import config
from app import create_app
from harness.database_server import free_port
from harness.service import PATIENT, SECRET
from tests.resources.calls import Calls


@pytest.fixture
def call(app: Flask) -> Calls:
    """Requests to an application on an empty database, once on each kind."""
    return Calls(app)


@pytest.fixture
def sqlite_call(sqlite_app: Flask) -> Calls:
    return Calls(sqlite_app)


@pytest.fixture
def unreachable_call() -> Calls:
    """Requests to an application whose database is not there."""
    uri = f"mysql+mysqlconnector://root@127.0.0.1:{free_port()}/nowhere"
    # Who stands still until a request's time is over is told that the shop is busy, not that it is unavailable.
    return Calls(create_app(config.load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET, **PATIENT)))
