"""What several tests of the core share."""

import pytest
from flask import Flask

from core.services import Services


@pytest.fixture
def sqlite_shop(sqlite_app: Flask) -> Services:
    return sqlite_app.extensions["seckill"]
