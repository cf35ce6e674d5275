"""Items, quotes and orders as the API returns them, in the form that the pages show."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from core.catalogue.pricing import decimals
from web.storefront import pictures
from web.storefront.money import moment, money, prefix
from web.storefront.texts import outcome_text, text

_TONES = {
    "on_sale": "good",
    "upcoming": "info",
    "paused": "warn",
    "sold_out": "bad",
    "pending": "warn",
    "paid": "good",
    "refund_due": "info",
}
# The address of a picture that the pages' policy lets a browser load.
_LOADABLE = ("https://", "/")


def item(goods: Mapping[str, Any], language: str) -> dict[str, Any]:
    """An item."""
    image = goods["image_url"]
    photo = image if image.startswith(_LOADABLE) and not image.startswith("//") else None
    before_start = _is_before_start(goods)
    put_up, price, list_price = goods["stock"] + goods["sold"], goods["price"], goods["list_price"]
    dearer = list_price is not None and list_price > price
    return {
        **{name: goods[name] for name in ("id", "name", "description", "status", "stock", "shippable", "currency")},
        "photo": photo,
        "drawing": pictures.address(goods["id"], goods["name"]),
        "prefix": prefix(goods["currency"], language),
        "decimals": decimals(goods["currency"]),
        "price": money(price, goods["currency"], language),
        "list_price": money(list_price, goods["currency"], language) if dearer else None,
        "off": 100 - round(100 * price / list_price) if dearer else 0,
        "left": text("left", language, n=goods["stock"]) if goods["stock"] else text("none_left", language),
        "sold_percent": 100 * goods["sold"] // put_up if put_up else 100,
        "put_up": put_up,
        "sold": goods["sold"],
        "limit": goods["per_user_limit"],
        "state": text(f"status.{goods['status']}", language),
        "tone": _TONES.get(goods["status"]),
        "starts_at": goods["starts_at"],
        "ends_at": goods["ends_at"],
        "before_start": before_start,
        "countdown": _countdown(goods, before_start, language),
    }


def _is_before_start(goods: Mapping[str, Any]) -> bool:
    """Whether the sale has not begun. Of a paused sale this host's clock decides; the page's script then goes by the
    database's.
    """
    starts = goods["starts_at"]
    if goods["status"] == "paused" and starts:
        return datetime.fromisoformat(starts) > datetime.now(timezone.utc)
    return bool(goods["status"] == "upcoming")


def _countdown(goods: Mapping[str, Any], before_start: bool, language: str) -> dict[str, str] | None:
    """The moment that lies ahead, if there is one."""
    starts, ends = goods["starts_at"], goods["ends_at"]
    if goods["status"] == "ended":
        return None
    if before_start:
        return {"to": starts, "label": text("starts_at", language), "shown": moment(starts), "kind": "start"}
    if ends:
        return {"to": ends, "label": text("ends_at", language), "shown": moment(ends), "kind": "end"}
    return None


def lines(quote: Mapping[str, Any], language: str) -> dict[str, Any]:
    """A quote's lines."""
    names = ("subtotal", "discount", "shipping_fee", "total")
    shown = {name: money(quote[name], quote["currency"], language) for name in names}
    shown["discount"] = money(-quote["discount"], quote["currency"], language)
    return {"amount": quote["total"], "has_discount": quote["discount"] > 0, **shown}


def undiscounted(goods: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The lines of one unit without coupon and shipping, which need no quote."""
    price = goods["price"]
    plain = {"currency": goods["currency"], "subtotal": price, "discount": 0, "shipping_fee": 0, "total": price}
    return lines(plain, language)


def methods(
    offered: list[dict[str, Any]], quote: Mapping[str, Any] | None, currency: str, language: str
) -> list[dict[str, Any]]:
    """The shipping methods that an item in `currency` may be sent by, with what they cost where a quote says so."""
    quoted_methods = {method["code"]: method for method in quote["shipping_methods"]} if quote else {}
    shown = []
    for method in offered:
        if not method["active"] or method["currency"] not in (None, currency):
            continue
        quoted = quoted_methods.get(method["code"])
        fee = method["base_fee"] if quoted is None else quoted["fee"]
        obstacle = quoted["reason"] if quoted else None
        shown.append(
            {
                "code": method["code"],
                "name": method["name"],
                "fee": None if fee is None else money(fee, currency, language) if fee else text("free", language),
                "reason": outcome_text("shipping_not_available", language, {"reason": obstacle}) if obstacle else None,
            }
        )
    return shown


def order(placed: Mapping[str, Any], language: str) -> dict[str, Any]:
    """An order."""
    amounts = lines(placed, language)
    address = placed["address"]
    return {
        **{name: placed[name] for name in ("order_no", "goods_id", "goods_name", "quantity", "status", "coupon_code")},
        **amounts,
        "state": text(f"order.{placed['status']}", language),
        "tone": _TONES.get(placed["status"]),
        "times": {name: placed[name] for name in ("purchased_at", "expires_at", "paid_at", "refunded_at")},
        "shipping_method": placed["shipping_method"],
        "address": [
            address[name] for name in ("name", "phone", "line1", "line2", "postcode", "region") if address[name]
        ]
        if address
        else [],
    }
