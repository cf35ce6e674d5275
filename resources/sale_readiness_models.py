"""The answer of the readiness list, as a typed model with an example."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from resources.http.bases import Answer, example

FindingState = Literal["ok", "warning", "problem"]

_READINESS: dict[str, Any] = {
    "goods_id": 1,
    "at": "2026-11-23T11:45:00.000Z",
    "state": "warning",
    "entries": [
        {
            "id": "window",
            "state": "ok",
            "title": "Window",
            "found": "Opens 2026-11-23T12:00:00.000Z, in 15 min.",
            "mend": "",
        },
        {
            "id": "limit",
            "state": "warning",
            "title": "Limit for each buyer",
            "found": "One buyer may take all 100 units.",
            "mend": "Set a limit for each user.",
        },
    ],
}


class ReadinessEntry(Answer):
    """What one check came to, in the language of `Accept-Language`. `mend` is empty where nothing is to be done."""

    id: str = Field(description="stable: what was checked")
    state: FindingState
    title: str
    found: str
    mend: str


class SaleReadiness(Answer):
    """Whether an item's sale can begin. `state` is the worst of the entries'."""

    model_config = ConfigDict(json_schema_extra=example(_READINESS))

    goods_id: int
    at: datetime
    state: FindingState
    entries: list[ReadinessEntry]
