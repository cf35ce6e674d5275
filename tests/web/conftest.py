"""What the tests of the pages share."""

import pytest
from flask import Flask

import config
from tests.resources.calls import Calls
from tests.web.browsing import Browser


@pytest.fixture
def sqlite_call(sqlite_app: Flask) -> Calls:
    return Calls(sqlite_app)


@pytest.fixture
def visitor(sqlite_app: Flask) -> Browser:
    return Browser(sqlite_app)


@pytest.fixture
def demo_visitor(sqlite_app: Flask, sqlite_uri: str, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """A visitor where the database is the embedded default."""
    monkeypatch.setattr(config, "DEFAULT_DATABASE_URI", sqlite_uri)
    return Browser(sqlite_app)


@pytest.fixture
def alice(visitor: Browser) -> Browser:
    """A visitor who is signed in."""
    visitor.sign_in("alice")
    return visitor
