"""What the tests of the contract share."""

from typing import Any

import pytest
from flask import Flask


@pytest.fixture
def document(sqlite_app: Flask) -> dict[str, Any]:
    """The OpenAPI description, as it is served."""
    return sqlite_app.test_client().get("/openapi.json").json
