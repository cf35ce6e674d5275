"""What the tests of an identity provider share."""

import pytest

from core.identity import key_source


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A publisher in this process may stand still for seconds, and is read all the same."""
    monkeypatch.setattr(key_source, "CONNECT_SECONDS", 60.0)
    monkeypatch.setattr(key_source, "WHOLE_SECONDS", 120.0)
