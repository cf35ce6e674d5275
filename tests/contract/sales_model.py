"""A model of sales in plain Python: what each purchase costs, and what it is refused with."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PAST, FUTURE = "2001-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"
HOLD_STRIKES = 3
ADDRESS = {"name": "Li Na", "phone": "13800138000", "line1": "1 Nanjing Road", "line2": None, "postcode": "200000"}
IN_CHINA, ABROAD = ADDRESS | {"region": "CN-31"}, ADDRESS | {"region": "US-CA"}


@dataclass(frozen=True)
class Method:
    """A way of delivery; `region` is the only one that it serves, if any."""

    code: str
    base_fee: int
    additional_fee: int
    free_from: int | None = None
    region: str | None = None

    def fee(self, quantity: int, subtotal: int) -> int:
        if self.free_from is not None and subtotal >= self.free_from:
            return 0
        return self.base_fee + self.additional_fee * (quantity - 1)


METHODS = {one.code: one for one in (Method("local", 1, 0, region="CN"), Method("post", 5, 2, free_from=7))}

Refusal = tuple[int, str, dict[str, Any]]


@dataclass
class Item:
    """What the model knows of an item."""

    id: int
    price: int
    stock: int
    limit: int | None
    starts_at: str | None
    ends_at: str | None
    shippable: bool = False
    sold: int = 0
    paused: bool = False
    version: int = 1
    changes: int = 1

    @property
    def status(self) -> str:
        if self.ends_at == PAST:
            return "ended"
        if self.paused:
            return "paused"
        if self.starts_at == FUTURE:
            return "upcoming"
        return "on_sale" if self.stock else "sold_out"


@dataclass
class Coupon:
    """What the model knows of a coupon. `value` is percent or minor units."""

    code: str
    kind: str
    value: int
    max_discount: int | None
    min_spend: int | None
    goods_ids: list[int] | None
    total_limit: int | None
    per_user_limit: int | None
    active: bool = True

    def discount(self, subtotal: int) -> int:
        if self.kind == "free_shipping":
            return 0
        # Half up, by another way than the service's.
        off = int(subtotal * self.value / 100 + 0.5) if self.kind == "percent" else self.value
        return min(off, subtotal, off if self.max_discount is None else self.max_discount)


@dataclass
class Bought:
    """What the model knows of an order."""

    order: dict[str, Any]
    item: Item
    user: str
    quantity: int
    key: str | None
    choices: dict[str, Any]
    status: str = "pending"
    given_up: bool = False  # cancelled by its own buyer
    swept: bool = True  # of an expired one: whether what it held is back
    kept: bool = False  # refunded, and its buyer keeps the units

    @property
    def counts(self) -> bool:
        """Towards its buyer's limit."""
        return self.status in ("pending", "paid") or self.kept

    @property
    def holds(self) -> bool:
        """Units, and a use of its coupon."""
        return self.counts or not self.swept

    @property
    def is_strike(self) -> bool:
        return self.status == "expired" or (self.status == "cancelled" and self.given_up)


@dataclass
class Model:
    cooldown: bool = False
    items: dict[int, Item] = field(default_factory=dict)
    coupons: dict[str, Coupon] = field(default_factory=dict)
    orders: dict[str, Bought] = field(default_factory=dict)
    keys: dict[tuple[str, str], Bought] = field(default_factory=dict)

    def of(self, user: str, item: Item) -> Iterator[Bought]:
        return (bought for bought in self.orders.values() if bought.user == user and bought.item is item)

    def held(self, user: str, item: Item) -> int:
        return sum(bought.quantity for bought in self.of(user, item) if bought.counts)

    def used(self, code: str, user: str | None = None) -> int:
        return sum(
            bought.holds and user in (None, bought.user)
            for bought in self.orders.values()
            if bought.order["coupon_code"] == code
        )

    def refusal(self, item: Item, user: str, quantity: int) -> Refusal | None:
        """The contract's order: ended, paused, not started, sold out, the limit, the stock; then what was given up."""
        match item.status:
            case "ended":
                return 409, "sale_ended", {}
            case "paused":
                return 409, "sale_paused", {}
            case "upcoming":
                return 409, "sale_not_started", {"starts_at": item.starts_at}
            case "sold_out":
                return 409, "sold_out", {}
        held = self.held(user, item)
        if item.limit is not None and held + quantity > item.limit:
            return 409, "limit_reached", {"limit": item.limit, "already_bought": held}
        if quantity > item.stock:
            return 409, "insufficient_stock", {"available": item.stock}
        if self.cooldown and sum(bought.is_strike for bought in self.of(user, item)) >= HOLD_STRIKES:
            return 429, "hold_cooldown", {}
        return None

    def price(
        self, item: Item, user: str, quantity: int, choices: dict[str, Any], to_buy: bool = True
    ) -> Refusal | dict[str, int]:
        """The lines of the price, or what the choices are refused with."""
        subtotal = item.price * quantity
        method, address = choices.get("shipping_method"), choices.get("address")
        if to_buy and item.shippable and (method is None or address is None):
            return 422, "shipping_required", {"reason": "shipping_method" if method is None else "address"}
        fee = 0
        if method is not None:
            if not item.shippable:
                return 422, "shipping_not_available", {"reason": "not_shippable"}
            if method not in METHODS:
                return 422, "shipping_not_available", {"reason": "unknown"}
            served = METHODS[method].region
            if served is not None and (address is None or not address["region"].startswith(served)):
                return 422, "shipping_not_available", {"reason": "region" if address else "address_required"}
            fee = METHODS[method].fee(quantity, subtotal)
        discount = 0
        if "coupon_code" in choices:
            refusal = self.coupon_refusal(choices["coupon_code"], item, user, subtotal)
            if refusal is not None:
                return 422, refusal[0], {"reason": refusal[1]}
            coupon = self.coupons[choices["coupon_code"]]
            discount = coupon.discount(subtotal)
            fee = 0 if coupon.kind == "free_shipping" else fee
        return {
            "subtotal": subtotal,
            "discount": discount,
            "shipping_fee": fee,
            "total": subtotal - discount + fee,
        }

    def coupon_refusal(self, code: str, item: Item, user: str, subtotal: int) -> tuple[str, str] | None:
        coupon = self.coupons.get(code)
        if coupon is None:
            return "coupon_invalid", "unknown"
        if not coupon.active:
            return "coupon_invalid", "inactive"
        if coupon.goods_ids is not None and item.id not in coupon.goods_ids:
            return "coupon_not_applicable", "goods"
        if coupon.min_spend is not None and subtotal < coupon.min_spend:
            return "coupon_not_applicable", "min_spend"
        if coupon.kind == "free_shipping" and not item.shippable:
            return "coupon_not_applicable", "no_shipping"
        if coupon.total_limit is not None and self.used(code) >= coupon.total_limit:
            return "coupon_exhausted", "total_limit"
        if coupon.per_user_limit is not None and self.used(code, user) >= coupon.per_user_limit:
            return "coupon_exhausted", "per_user_limit"
        return None

    def give_back(self, bought: Bought) -> None:
        bought.item.stock += bought.quantity
        bought.item.sold -= bought.quantity
        bought.swept = True

    def money(self, bought: Bought) -> str:
        """What its total, paid in full, does to the order; the order is moved. Returns the outcome."""
        if bought.status == "paid":
            return "already_paid"
        if bought.status == "refunded":
            return "refund_due"
        if bought.status == "expired":
            if not bought.swept:
                self.give_back(bought)
            if self._can_be_taken_again(bought):
                bought.item.stock -= bought.quantity
                bought.item.sold += bought.quantity
                bought.status = "paid"
                return "paid"
        bought.status = "paid" if bought.status == "pending" else "refund_due"
        return bought.status

    def refund(self, bought: Bought, restock: bool) -> bool:
        """Note that its money was given back, if it can be. Whether it was."""
        if bought.status not in ("paid", "refund_due"):
            return False
        if bought.status == "paid":
            bought.kept = not restock
            if restock:
                self.give_back(bought)
        bought.status = "refunded"
        return True

    def _can_be_taken_again(self, bought: Bought) -> bool:
        item, user, order = bought.item, bought.user, bought.order
        if bought.quantity > item.stock:
            return False
        if item.limit is not None and self.held(user, item) + bought.quantity > item.limit:
            return False
        code = order["coupon_code"]
        return code is None or self.coupon_refusal(code, item, user, order["subtotal"]) is None
