"""The pages that are looked at: the goods, an item, a visitor's orders."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flask import Response, request

from config import Settings
from web.session import Session
from web.storefront import api, regions, shown
from web.storefront.forms import ADDRESS, Purchase
from web.storefront.money import moment
from web.storefront.page_cache import MadePage, PageCache, gap
from web.storefront.paths import checked_goods_id, checked_order_no
from web.storefront.rendering import language, render, send_private, send_shared
from web.storefront.texts import outcome_text, text
from web.storefront.visitors import Visitors

_GOODS = 60  # on a page
_ORDERS = 20
# What the gaps of a cached page stand for.
_GAPS = {name: gap(name) for name in ("visitor", "form_token", "key")}


class Section(NamedTuple):
    """Items that are in the same state."""

    name: str
    goods: list[dict[str, Any]]


def _section(item: dict[str, Any]) -> str:
    """Where `/` shows an item: what is neither on sale nor still to begin is over, or held up."""
    if item["before_start"]:
        return "upcoming"
    return "on_sale" if item["status"] == "on_sale" else "over"


class Outcome(NamedTuple):
    """What became of what a visitor did."""

    code: str
    text: str
    good: bool = False
    order_no: str | None = None
    tone: str = "bad"


class Pages:
    """Makes the pages. Their content comes from the API."""

    def __init__(self, settings: Settings, visitors: Visitors) -> None:
        self._settings = settings
        self._visitors = visitors
        self._cache = PageCache(settings.PURCHASE_WAIT_SECONDS, _for_all)

    def home(self) -> Response:
        """`/`: the goods, newest first, by their state."""
        spoken, cursor = language(), request.args.get("cursor")

        def make() -> str:
            page = api.get("/goods", spoken, limit=_GOODS, sort="-id", cursor=cursor)
            by_section: dict[str, list[dict[str, Any]]] = {"on_sale": [], "upcoming": [], "over": []}
            for goods in page["items"]:
                item = shown.item(goods, spoken)
                by_section[_section(item)].append(item)
            sections = [Section(name, goods) for name, goods in by_section.items() if goods]
            return self._render(
                "home.html", "home", spoken, session, sections=sections, next_cursor=page["next_cursor"]
            )

        session = self._visitors.session()
        # Any text can be a cursor: such pages are not kept.
        key = ("home", spoken, session is not None) if cursor is None else None
        return self._send(key, make, session)

    def item(self, goods_id: str) -> Response:
        """`/shop/<id>`: an item, and the form to buy it by."""
        spoken, session = language(), self._visitors.session()
        checked_goods_id(goods_id)
        order_no = wanted_order()
        if session is not None and order_no is not None:
            outcome = self._bought(session, goods_id, order_no, spoken)
            return self.filled_item(goods_id, session, Purchase(), outcome)

        def make() -> str:
            return self._item(goods_id, spoken, session, Purchase(), None, {}, None)

        return self._send(("item", goods_id, spoken, session is not None), make, session)

    def filled_item(
        self,
        goods_id: str,
        session: Session | None,
        purchase: Purchase,
        outcome: Outcome | None,
        errors: Mapping[str, str] | None = None,
        quote: Mapping[str, Any] | None = None,
        status: int = 200,
        key: str | None = None,
    ) -> Response:
        """An item's page for one visitor, with what they typed and what became of it."""
        html = self._item(goods_id, language(), session, purchase, outcome, errors or {}, quote)
        return send_private(MadePage(html).filled(self._values(session, key)), status, outcome and outcome.code)

    def orders(self, outcome: Outcome | None = None, status: int = 200, failed: str | None = None) -> Response:
        """`/shop/orders`: the visitor's orders, newest first; for others the sign-in."""
        spoken, session = language(), self._visitors.session()
        values: dict[str, Any] = {"outcome": outcome, "failed": failed, "orders": [], "older": None, "is_older": False}
        if session is not None:
            cursor = request.args.get("cursor")
            token = self._visitors.token(session)
            page = api.get("/orders", spoken, token, limit=_ORDERS, cursor=cursor)
            values |= {
                "orders": [shown.order(order, spoken) for order in page["items"]],
                "older": page["next_cursor"],
                "is_older": cursor is not None,
                "payable": self._settings.test_payments,
                "payment_url": self._settings.PAYMENT_URL,
            }
        html = self._render("orders.html", "orders", spoken, session, **values)
        code = outcome.code if outcome else "unauthenticated"
        return send_private(MadePage(html).filled(self._values(session)), status, code)

    def error(self, code: str, message: str, status: int) -> Response:
        """A page that says what went wrong."""
        session = self._visitors.session()
        html = self._render("error.html", "error", language(), session, code=code, message=message)
        return send_private(MadePage(html).filled(self._values(session)), status, code)

    def _bought(self, session: Session, goods_id: str, order_no: str, spoken: str) -> Outcome | None:
        """What a purchase that just led here came to. None where the visitor has no such order of this item."""
        answer = api.call("GET", f"/orders/{order_no}", spoken, self._visitors.token(session))
        order = answer.data
        if not answer.ok or str(order["goods_id"]) != goods_id or order["status"] not in ("pending", "paid"):
            return None
        return Outcome("bought", bought(order, spoken), True, order["order_no"])

    def _item(
        self,
        goods_id: str,
        spoken: str,
        session: Session | None,
        purchase: Purchase,
        outcome: Outcome | None,
        errors: Mapping[str, str],
        quote: Mapping[str, Any] | None,
    ) -> str:
        goods = api.get(f"/goods/{checked_goods_id(goods_id)}", spoken)
        methods: list[dict[str, Any]] = []
        if goods["shippable"]:
            methods = api.get("/shipping-methods", spoken, limit=100)["items"]
        return self._render(
            "item.html",
            "item",
            spoken,
            session,
            item=shown.item(goods, spoken),
            currency=goods["currency"],
            methods=shown.methods(methods, quote, goods["currency"], spoken),
            region_groups=_region_groups(methods, spoken) if goods["shippable"] else [],
            purchase=purchase,
            errors=errors,
            quoted=quote is not None,
            quoted_for=purchase.quoted_for if quote else Purchase({"quantity": "1"}).quoted_for,
            quote=shown.lines(quote, spoken) if quote else shown.undiscounted(goods, spoken),
            outcome=outcome,
        )

    def _send(self, key: tuple[Any, ...] | None, make: Callable[[], str], session: Session | None) -> Response:
        made = MadePage(make()) if key is None else self._cache.get(key, make)
        return send_shared(made) if session is None else send_private(made.filled(self._values(session)))

    def _values(self, session: Session | None, key: str | None = None) -> dict[str, str]:
        if session is None:
            return {}
        form_token = self._visitors.form_token(session)
        return {"visitor": session.user_id, "form_token": form_token, "key": key or new_key()}

    def _render(self, template: str, page: str, spoken: str, session: Session | None, **values: Any) -> str:
        visitor = _GAPS if session is not None else {}
        return render(
            template,
            page,
            spoken,
            signed_in=session is not None,
            demo=self._settings.demo_sign_in,
            **visitor,
            **values,
        )


def _for_all(error: Exception) -> bool:
    """Whether an error meets everybody who asks for the page. The limit on one address does not."""
    return not (isinstance(error, api.Refused) and error.answer.status == 429)


def wanted_order() -> str | None:
    """The order whose outcome the address asks to show. Raises Refusal order_not_found for what is no order number."""
    given = request.args.get("order")
    return checked_order_no(given) if given else None


def new_key() -> str:
    """An `Idempotency-Key` for a purchase that a page offers."""
    return secrets.token_urlsafe(18)


def bought(order: Mapping[str, Any], spoken: str) -> str:
    """What a purchase came to, in words."""
    if order["status"] == "paid":
        return text("outcome.bought_paid", spoken)
    total = shown.lines(order, spoken)["total"]
    return text("outcome.bought", spoken, total=total, time=moment(order["expires_at"]))


def refused(answer: api.Answer, spoken: str) -> Outcome:
    """What a refusal is to a visitor."""
    tone = "warn" if answer.status >= 500 or answer.status == 401 else "bad"
    return Outcome(answer.code, outcome_text(answer.code, spoken, answer.details), tone=tone)


def field_errors(answer: api.Answer) -> dict[str, str]:
    """What is wrong with which field of a form."""
    errors = answer.data.get("errors", []) if answer.code == "validation_failed" else []
    return {error["field"].removeprefix("address."): error["detail"] for error in errors}


def _region_groups(methods: list[dict[str, Any]], spoken: str) -> list[tuple[str, list[regions.Region]]]:
    named = {region for method in methods for region in method["regions"] or ()}
    others = regions.others(named, spoken)
    return [
        (text("china", spoken), regions.provinces(spoken)),
        (text("countries", spoken), [*regions.countries(spoken), *others]),
    ]


__all__ = ["ADDRESS", "Outcome", "Pages", "Section", "bought", "field_errors", "new_key", "refused", "wanted_order"]
