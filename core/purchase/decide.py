"""The rules of a purchase, as one pure function: locked rows and requests in, an outcome for each request out."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from core import refusals, sale
from core.clock import iso
from core.orders import PENDING, OrderView
from core.refusals import Refusal


@dataclass(frozen=True, slots=True)
class PurchaseRequest:
    """What one buyer asks for. `quantity` is in units, 1 to 1,000."""

    goods_id: int
    user_id: str
    quantity: int = 1
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for two requests exactly if they ask for the same: SHA-256, in hexadecimal digits."""
        return _fingerprint(self.goods_id, self.quantity)


@lru_cache(maxsize=10_000)  # most requests of a sale are alike
def _fingerprint(goods_id: int, quantity: int) -> str:
    asked = {"goods_id": goods_id, "quantity": quantity}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LockedGoods:
    """An item's row, read under its lock."""

    id: int
    name: str
    currency: str
    price: int
    stock: int
    paused: bool
    starts_at: datetime | None
    ends_at: datetime | None
    per_user_limit: int | None


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order that already stands under a buyer's key, and the fingerprint of the request that made it."""

    order: OrderView
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Placed:
    """Bought: the order is new."""

    order: OrderView
    request: PurchaseRequest


@dataclass(frozen=True, slots=True)
class Replayed:
    """Bought before, by the same request under the same key."""

    order: OrderView


@dataclass(frozen=True, slots=True)
class Refused:
    """Not bought, for a reason that the contract names."""

    refusal: Refusal


Outcome = Placed | Replayed | Refused
UserKey = tuple[str, str]
UserGoods = tuple[str, int]


@dataclass
class _Ledger:
    """The locked state, carried from one request of the batch to the next."""

    goods: Mapping[int, LockedGoods]
    known: dict[UserKey, KnownOrder]
    held: dict[UserGoods, int]
    now: datetime
    stock: dict[int, int] = field(default_factory=dict)


def decide(
    requests: Sequence[PurchaseRequest],
    goods: Mapping[int, LockedGoods],
    known: Mapping[UserKey, KnownOrder],
    held: Mapping[UserGoods, int],
    now: datetime,
    payment_seconds: int,
    new_order_no: Callable[[], str],
) -> list[Outcome]:
    """Decide each request in turn, the earlier ones counted.

    `known` has the orders that stand under the requests' keys, `held` the units that each buyer holds of an item with
    a limit, `now` is the database's time. The outcomes are in the order of the requests.
    """
    ledger = _Ledger(goods, dict(known), dict(held), now, {item.id: item.stock for item in goods.values()})
    outcomes: list[Outcome] = []
    for request in requests:
        outcome = _replay(request, ledger) or _refuse(request, ledger)
        outcomes.append(outcome or _place(request, ledger, payment_seconds, new_order_no()))
    return outcomes


def _replay(request: PurchaseRequest, ledger: _Ledger) -> Outcome | None:
    if request.idempotency_key is None:
        return None
    known = ledger.known.get((request.user_id, request.idempotency_key))
    if known is None:
        return None
    if known.fingerprint != request.fingerprint:
        return Refused(Refusal(refusals.IDEMPOTENCY_KEY_REUSED))
    return Replayed(known.order)


def _refuse(request: PurchaseRequest, ledger: _Ledger) -> Refused | None:
    """The refusals, in the order that the contract asks them."""
    goods = ledger.goods.get(request.goods_id)
    if goods is None:
        return Refused(Refusal(refusals.GOODS_NOT_FOUND))
    stock = ledger.stock[goods.id]
    closed = refusal_of(sale.status(goods, ledger.now, stock), goods.starts_at)
    if closed is not None:
        return Refused(closed)
    limit = goods.per_user_limit
    if limit is not None:
        held = ledger.held.get((request.user_id, goods.id), 0)
        if held + request.quantity > limit:
            return Refused(Refusal(refusals.LIMIT_REACHED, limit=limit, already_bought=held))
    if request.quantity > stock:
        return Refused(Refusal(refusals.INSUFFICIENT_STOCK, available=stock))
    return None


def refusal_of(status: str, starts_at: datetime | None) -> Refusal | None:
    """What a sale of this status refuses everybody with; None where it is open."""
    match status:
        case sale.ENDED:
            return Refusal(refusals.SALE_ENDED)
        case sale.PAUSED:
            return Refusal(refusals.SALE_PAUSED)
        case sale.UPCOMING if starts_at is not None:
            return Refusal(refusals.SALE_NOT_STARTED, starts_at=iso(starts_at))
        case sale.SOLD_OUT:
            return Refusal(refusals.SOLD_OUT)
    return None


def _place(request: PurchaseRequest, ledger: _Ledger, payment_seconds: int, order_no: str) -> Placed:
    goods = ledger.goods[request.goods_id]
    subtotal = goods.price * request.quantity
    order = OrderView(
        order_no=order_no,
        goods_id=goods.id,
        goods_name=goods.name,
        user_id=request.user_id,
        quantity=request.quantity,
        currency=goods.currency,
        unit_price=goods.price,
        subtotal=subtotal,
        discount=0,
        shipping_fee=0,
        total=subtotal,
        status=PENDING,
        purchased_at=ledger.now,
        expires_at=ledger.now + timedelta(seconds=payment_seconds),
        paid_at=None,
        closed_at=None,
    )
    ledger.stock[goods.id] -= request.quantity
    owner = (request.user_id, goods.id)
    ledger.held[owner] = ledger.held.get(owner, 0) + request.quantity
    if request.idempotency_key is not None:
        ledger.known[request.user_id, request.idempotency_key] = KnownOrder(order, request.fingerprint)
    return Placed(order, request)
