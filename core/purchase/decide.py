"""The rules of a purchase, as one pure function: locked rows and requests in, an outcome for each request out."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

from core import refusals
from core.catalogue import quotes, sale
from core.catalogue.coupons import Coupon
from core.catalogue.quotes import NO_CHOICES, Choices, Offers
from core.catalogue.sale import SaleStatus
from core.catalogue.shipping import Method
from core.db.clock import iso
from core.orders.orders import OrderView
from core.refusals import Refusal
from models import OrderStatus


@dataclass(frozen=True)
class PurchaseRequest:
    """What one buyer asks for. `quantity` is in units, 1 to 1,000."""

    goods_id: int
    user_id: str
    quantity: int = 1
    idempotency_key: str | None = None
    choices: Choices = NO_CHOICES

    @cached_property
    def fingerprint(self) -> str:
        """Equal for two requests exactly if their contents are equal: SHA-256, in hexadecimal digits."""
        if self.choices is NO_CHOICES:
            return _plain_fingerprint(self.goods_id, self.quantity)
        return _fingerprint(goods_id=self.goods_id, quantity=self.quantity, **self.choices.given())


_sorted_json = json.JSONEncoder(sort_keys=True).encode


def _fingerprint(**fields: Any) -> str:
    return hashlib.sha256(_sorted_json(fields).encode()).hexdigest()


@lru_cache(maxsize=10_000)  # most requests of a sale are alike
def _plain_fingerprint(goods_id: int, quantity: int) -> str:
    return _fingerprint(goods_id=goods_id, quantity=quantity)


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
    shippable: bool


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """An order that already stands under a buyer's key, and the fingerprint of the request that made it."""

    order: OrderView
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Held:
    """What a buyer has of an item: units of orders that hold them, and strikes, orders that were given up.

    A strike is an order that expired, or that its buyer cancelled. Those that are forgotten by now are not counted.
    """

    units: int = 0
    strikes: int = 0
    last_strike_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CouponUse:
    """A coupon as an order uses it: with the uses that there are then, this one included."""

    coupon: Coupon
    number: int
    user_number: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Bought: the order is new."""

    order: OrderView
    request: PurchaseRequest
    coupon_use: CouponUse | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """Bought before, by the same request under the same key."""

    order: OrderView


@dataclass(frozen=True, slots=True)
class Refused:
    """Not bought, for a reason that the contract names."""

    refusal: Refusal


# Seconds; a day.
LONGEST_COOLDOWN = 86_400
_NOTHING = Held()
Outcome = Placed | Replayed | Refused
UserKey = tuple[str, str]
UserGoods = tuple[str, int]
UserCoupon = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of purchases; times in seconds.

    After `hold_strikes` of them a buyer waits for `hold_cooldown_seconds` (0 is no wait), after each further one for
    twice as long, up to LONGEST_COOLDOWN. A strike is forgotten after `hold_forget_seconds`.
    """

    payment_seconds: int = 900
    hold_strikes: int = 3
    hold_cooldown_seconds: int = 0
    hold_forget_seconds: int = 604_800


@dataclass(frozen=True)
class Locked:
    """The state that a batch is decided by, read under the locks of its items and coupons.

    `known` has the orders that stand under the requests' keys, `used` how many uses of a coupon (user, code) each buyer
    has, `now` is the database's time.
    """

    goods: Mapping[int, LockedGoods]
    now: datetime
    known: Mapping[UserKey, KnownOrder] = field(default_factory=dict)
    held: Mapping[UserGoods, Held] = field(default_factory=dict)
    coupons: Mapping[str, Coupon] = field(default_factory=dict)
    used: Mapping[UserCoupon, int] = field(default_factory=dict)
    methods: Sequence[Method] = ()


class _Ledger:
    """The locked state, carried from one request of the batch to the next."""

    def __init__(self, locked: Locked, rules: Rules) -> None:
        self.rules = rules
        self.goods = locked.goods
        self.now = locked.now
        self.methods = locked.methods
        self.known = dict(locked.known)
        self.held = dict(locked.held)
        self.coupons = dict(locked.coupons)
        self.used = dict(locked.used)
        self.stock = {item.id: item.stock for item in locked.goods.values()}

    def offers(self, request: PurchaseRequest) -> Offers:
        code = request.choices.coupon_code
        used = {} if code is None else {code: self.used.get((request.user_id, code), 0)}
        return Offers(self.now, self.coupons, self.methods, used)


def decide(
    requests: Sequence[PurchaseRequest], locked: Locked, rules: Rules, new_order_no: Callable[[], str]
) -> list[Outcome]:
    """Decide each request in turn, the earlier ones counted. The outcomes are in the order of the requests."""
    ledger = _Ledger(locked, rules)
    return [
        _replay(request, ledger) or _refuse(request, ledger) or _place(request, ledger, new_order_no)
        for request in requests
    ]


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
    """The refusals, in the order that the contract demands."""
    goods = ledger.goods.get(request.goods_id)
    if goods is None:
        return Refused(Refusal(refusals.GOODS_NOT_FOUND))
    stock = ledger.stock[goods.id]
    closed = refusal_of(sale.status(goods, ledger.now, stock), goods.starts_at)
    if closed is not None:
        return Refused(closed)
    held = ledger.held.get((request.user_id, goods.id), _NOTHING)
    limit = goods.per_user_limit
    if limit is not None and held.units + request.quantity > limit:
        return Refused(Refusal(refusals.LIMIT_REACHED, limit=limit, already_bought=held.units))
    if request.quantity > stock:
        return Refused(Refusal(refusals.INSUFFICIENT_STOCK, available=stock))
    wait = cooldown(held, ledger.rules, ledger.now)
    return Refused(Refusal(refusals.HOLD_COOLDOWN, retry_after=wait)) if wait else None


def cooldown(held: Held, rules: Rules, now: datetime) -> int:
    """Seconds that the buyer still waits after too many strikes; 0 where they need not."""
    further = held.strikes - rules.hold_strikes
    if held.last_strike_at is None or further < 0:
        return 0
    first = rules.hold_cooldown_seconds
    # The exponent is bounded: a day has fewer than 2^17 seconds.
    wait = min(first * 2 ** min(further, 17), max(first, LONGEST_COOLDOWN), rules.hold_forget_seconds)
    return max(0, math.ceil((held.last_strike_at + timedelta(seconds=wait) - now).total_seconds()))


def refusal_of(status: str, starts_at: datetime | None) -> Refusal | None:
    """What a sale of this status refuses everybody with; None where it is open."""
    match status:
        case SaleStatus.ENDED:
            return Refusal(refusals.SALE_ENDED)
        case SaleStatus.PAUSED:
            return Refusal(refusals.SALE_PAUSED)
        case SaleStatus.UPCOMING if starts_at is not None:
            return Refusal(refusals.SALE_NOT_STARTED, starts_at=iso(starts_at))
        case SaleStatus.SOLD_OUT:
            return Refusal(refusals.SOLD_OUT)
    return None


def _place(request: PurchaseRequest, ledger: _Ledger, new_order_no: Callable[[], str]) -> Placed | Refused:
    goods, choices = ledger.goods[request.goods_id], request.choices
    offers = ledger.offers(request)
    try:
        lines = quotes.price(goods, request.quantity, choices, offers)
    except Refusal as refusal:
        return Refused(refusal)
    if choices.expected_total not in (None, lines.total):
        quote = quotes.quote(goods, request.quantity, choices, offers, lines)
        return Refused(Refusal(refusals.PRICE_CHANGED, quote=quote))
    order = OrderView(
        order_no=new_order_no(),
        goods_id=goods.id,
        goods_name=goods.name,
        user_id=request.user_id,
        quantity=request.quantity,
        currency=goods.currency,
        unit_price=goods.price,
        subtotal=lines.subtotal,
        discount=lines.discount,
        shipping_fee=lines.shipping_fee,
        total=lines.total,
        coupon_code=choices.coupon_code,
        shipping_method=choices.shipping_method,
        # What is not shipped needs no address: one that is sent all the same is not kept.
        address=choices.address.as_json() if choices.address is not None and goods.shippable else None,
        status=OrderStatus.PENDING
        if lines.total
        else OrderStatus.PAID,  # nobody pays nothing: such an order waits for no money
        purchased_at=ledger.now,
        expires_at=ledger.now + timedelta(seconds=ledger.rules.payment_seconds),
        paid_at=None if lines.total else ledger.now,
        closed_at=None,
    )
    ledger.stock[goods.id] -= request.quantity
    owner = (request.user_id, goods.id)
    held = ledger.held.get(owner, _NOTHING)
    ledger.held[owner] = Held(held.units + request.quantity, held.strikes, held.last_strike_at)
    if request.idempotency_key is not None:
        ledger.known[request.user_id, request.idempotency_key] = KnownOrder(order, request.fingerprint)
    return Placed(order, request, _use_coupon(request, ledger))


def _use_coupon(request: PurchaseRequest, ledger: _Ledger) -> CouponUse | None:
    code = request.choices.coupon_code
    if code is None:
        return None
    coupon = ledger.coupons[code]
    owner = (request.user_id, code)
    ledger.coupons[code] = replace(coupon, used=coupon.used + 1)
    ledger.used[owner] = ledger.used.get(owner, 0) + 1
    return CouponUse(coupon, coupon.used + 1, ledger.used[owner])
