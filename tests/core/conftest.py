"""What several tests of the core share."""

import pytest
from flask import Flask

from core.shop import Shop


@pytest.fixture
def sqlite_shop(sqlite_app: Flask) -> Shop:
    return sqlite_app.extensions["seckill"]
