"""The answer of an audit, as a typed model with an example."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from resources.http.bases import Answer, example

_AUDIT: dict[str, Any] = {
    "ok": False,
    "taken_at": "2026-11-23T12:10:00.000Z",
    "goods": 4,
    "orders": 100,
    "checks": [
        {
            "name": "stock-adds-up",
            "invariant": 1,
            "promise": "stock + sold is what the administrators put in",
            "breaches": 1,
            "rows": [
                {
                    "goods_id": 1,
                    "order_no": None,
                    "user_id": None,
                    "idempotency_key": None,
                    "expected": 100,
                    "found": 99,
                    "coupon_code": None,
                }
            ],
        }
    ],
    "money": [{"currency": "CNY", "received": 39800, "kept": 19900, "given_back": 0, "to_give_back": 19900}],
}


class AuditBreach(Answer):
    """A row that breaks a promise: what it should be, and what it is."""

    goods_id: int | None
    order_no: str | None
    user_id: str | None
    idempotency_key: str | None
    expected: int
    found: int
    coupon_code: str | None


class AuditCheck(Answer):
    """A promise, how many rows break it, and the first hundred of them."""

    name: str
    invariant: int | None
    promise: str
    breaches: int
    rows: list[AuditBreach]


class AuditMoney(Answer):
    """Where the money that came in a currency is, in its minor unit."""

    currency: str
    received: int
    kept: int
    given_back: int
    to_give_back: int


class AuditReport(Answer):
    """Whether the stored rows keep the promises of a sale: what `flask audit --json` prints."""

    model_config = ConfigDict(json_schema_extra=example(_AUDIT))

    ok: bool
    taken_at: datetime = Field(description="of the snapshot, by the database's clock")
    goods: int
    orders: int
    checks: list[AuditCheck]
    money: list[AuditMoney]
