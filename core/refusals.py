"""What the service says no with. All error codes stand here. They are part of the contract: once set, they are set."""

from collections.abc import Mapping
from typing import Any

GOODS_NOT_FOUND = "goods_not_found"
ORDER_NOT_FOUND = "order_not_found"
COUPON_NOT_FOUND = "coupon_not_found"
SHIPPING_METHOD_NOT_FOUND = "shipping_method_not_found"
NOT_FOUND = "not_found"
METHOD_NOT_ALLOWED = "method_not_allowed"
BAD_REQUEST = "bad_request"
MALFORMED_JSON = "malformed_json"
BODY_TOO_LARGE = "body_too_large"
UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
SALE_NOT_STARTED = "sale_not_started"
SALE_ENDED = "sale_ended"
SALE_PAUSED = "sale_paused"
SOLD_OUT = "sold_out"
INSUFFICIENT_STOCK = "insufficient_stock"
LIMIT_REACHED = "limit_reached"
PRICE_CHANGED = "price_changed"
COUPON_INVALID = "coupon_invalid"
COUPON_EXHAUSTED = "coupon_exhausted"
COUPON_NOT_APPLICABLE = "coupon_not_applicable"
SHIPPING_REQUIRED = "shipping_required"
SHIPPING_NOT_AVAILABLE = "shipping_not_available"
HOLD_COOLDOWN = "hold_cooldown"
RATE_LIMITED = "rate_limited"
UNAUTHENTICATED = "unauthenticated"
FORBIDDEN = "forbidden"
ORDER_NOT_PENDING = "order_not_pending"
ORDER_NOT_REFUNDABLE = "order_not_refundable"
PAYMENT_ALREADY_RESOLVED = "payment_already_resolved"
HAS_ORDERS = "has_orders"
STOCK_CONFLICT = "stock_conflict"
VERSION_MISMATCH = "version_mismatch"
VALIDATION_FAILED = "validation_failed"
IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
BUSY = "busy"
UNAVAILABLE = "unavailable"
INTERNAL_ERROR = "internal_error"
EVENTS_PRUNED = "events_pruned"


class Refusal(Exception):
    """A request that the rules do not allow. `details` are the members that the code promises beside it."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


class RefusalWithEffect(Refusal):
    """A refusal that comes after something was written that must stay: a transaction around it is committed."""


class InvalidFields(Refusal):
    """Fields are wrong by what only the service knows, such as an end before the stored start."""

    def __init__(self, codes: Mapping[str, str]) -> None:
        """`codes` has the error code of each field."""
        super().__init__(VALIDATION_FAILED, errors=[{"field": field, "code": code} for field, code in codes.items()])


class InvalidField(InvalidFields):
    """One field is wrong."""

    def __init__(self, field: str, field_code: str) -> None:
        super().__init__({field: field_code})


def check_fields(codes: Mapping[str, str]) -> None:
    """Raise InvalidFields where there is any code."""
    if codes:
        raise InvalidFields(codes)


class Busy(Refusal):
    """The deadline passed before a turn came. It is certain that nothing was done."""

    def __init__(self, retry_after: int = 1) -> None:
        super().__init__(BUSY, retry_after=retry_after)


class Unavailable(Refusal):
    """The database cannot be reached or did not answer in time. What was under way may or may not have been done."""

    def __init__(self, retry_after: int = 2) -> None:
        super().__init__(UNAVAILABLE, retry_after=retry_after)
