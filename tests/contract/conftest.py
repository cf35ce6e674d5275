"""What the tests of the contract share."""

import json
from typing import Any

import pytest

import config
from app import create_app
from harness.service import SECRET

# So that an assertion of the model's tells what differs.
pytest.register_assert_rewrite("tests.contract.sales_machine", "tests.contract.sales_operator")


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The OpenAPI description, as it is served. To make it takes a second; the database is not asked."""
    path = tmp_path_factory.mktemp("described") / "none.db"
    app = create_app(config.load(SQLALCHEMY_DATABASE_URI=f"sqlite:///{path}", SECRET_KEY=SECRET))
    return app.test_client().get("/openapi.json").data


@pytest.fixture
def document(described: bytes) -> dict[str, Any]:
    """The same as data, for one test to change."""
    return json.loads(described)
