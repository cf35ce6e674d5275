"""What the tests of the contract share."""

from typing import Any

import pytest
from flask import Flask

# So that an assertion of the model's tells what differs.
pytest.register_assert_rewrite("tests.contract.sales_machine", "tests.contract.sales_operator")


@pytest.fixture
def document(sqlite_app: Flask) -> dict[str, Any]:
    """The OpenAPI description, as it is served."""
    return sqlite_app.test_client().get("/openapi.json").json
