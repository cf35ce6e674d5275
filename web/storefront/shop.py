"""The storefront's routes: pages, and the forms that work without JavaScript.

A form is answered by a redirect to the page that shows its effect, or where it was refused by its page again, with what
was typed and under the refusal's status. To load such an answer anew sends the same key, and buys nothing twice.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from core.json_text import to_json_bytes
from core.refusals import Refusal
from core.services import Services
from core.tokens import InvalidToken
from resources.http.answers import flask_response
from resources.http.problems import MIME_TYPE, PROBLEMS
from resources.http.reply import json_reply
from web import session as sessions
from web.storefront import api, forms, pictures
from web.storefront.forms import Purchase
from web.storefront.pages import Outcome, Pages, field_errors, refused, wanted_order
from web.storefront.paths import checked_goods_id, checked_order_no
from web.storefront.rendering import LANGUAGE_COOKIE, language, see_other, wants_html
from web.storefront.texts import LANGUAGES, outcome_text, text
from web.storefront.visitors import Forged, Visitors, next_page

_YEAR = 365 * 24 * 3600
_KEY_LENGTH = 255
_CODES = {403: "forbidden", 413: "body_too_large", 415: "unsupported_media_type"}


def register(app: Flask, services: Services) -> None:
    """Serve the storefront."""
    shop = Shop(services)
    for route, method, view in (
        ("/", "GET", shop.home),
        ("/shop/<goods_id>", "GET", shop.item),
        ("/shop/<goods_id>/buy", "POST", shop.buy),
        ("/shop/<goods_id>/quote", "POST", shop.quote),
        ("/shop/orders", "GET", shop.orders),
        ("/shop/orders/<order_no>/pay", "POST", shop.pay),
        ("/shop/orders/<order_no>/cancel", "POST", shop.cancel),
        ("/shop/session", "POST", shop.sign_in),
        ("/shop/session/end", "POST", shop.sign_out),
        ("/shop/session/token", "POST", shop.issue_token),
        ("/shop/pictures/<picture>.svg", "GET", pictures.show),
    ):
        endpoint = f"shop_{view.__name__}"
        app.add_url_rule(route, view_func=shop.guarded(view), endpoint=endpoint, methods=[method])
        if method == "POST" and view != shop.issue_token:
            # The address of a page that answers a form: whoever loads it by hand is led to the page with the form.
            app.add_url_rule(route, view_func=_to_the_form, endpoint=f"{endpoint}_form", methods=["GET"])


class Shop:
    """The storefront of an application."""

    def __init__(self, services: Services) -> None:
        self._settings = services.settings
        self._visitors = Visitors(services)
        self._pages = Pages(services.settings, self._visitors)

    def guarded(self, view: Callable[..., Response]) -> Callable[..., Response]:
        """A view whose errors are pages where a browser asks, and else problems as of the API."""

        @wraps(view)
        def answer(**path: str) -> Response:
            try:
                return view(**path)
            except api.Refused as error:
                return self._refuse(error.answer)
            except Refusal as error:
                if not wants_html():
                    raise
                return self._refuse_page(error)
            except HTTPException as error:
                if not wants_html() or error.code is None or error.code < 400:
                    raise
                code = _CODES.get(error.code, "bad_request")
                forged = isinstance(error, Forged)
                words = text("error.forged", language()) if forged else outcome_text(code, language(), {})
                return self._pages.error(code, words, error.code)

        return answer

    def home(self) -> Response:
        return _switch_language() or self._pages.home()

    def item(self, goods_id: str) -> Response:
        return _switch_language() or self._pages.item(goods_id)

    def orders(self) -> Response:
        switched = _switch_language()
        if switched is not None:
            return switched
        return self._pages.orders(self._ended(wanted_order()))

    def buy(self, goods_id: str) -> Response:
        """Buy by the form: the API's purchase, with the key that came with the page."""
        form, spoken, session = forms.read(request), language(), self._visitors.session()
        purchase = Purchase(form)
        if session is None:
            _only_for_browsers()
            return self._pages.filled_item(goods_id, None, purchase, _sign_in_first(spoken), status=401)
        self._visitors.check_form(session, form.get("form_token"))
        key = form.get("key", "")
        if not (key.isascii() and 1 <= len(key) <= _KEY_LENGTH):
            raise Forged
        token = self._visitors.token(session)
        answer = api.call(
            "POST", f"/seckill/{checked_goods_id(goods_id)}", spoken, token, purchase.body(to_buy=True), key
        )
        if answer.ok:
            return see_other(f"/shop/{answer.data['goods_id']}?order={answer.data['order_no']}")
        if answer.code == "goods_not_found" or not wants_html():
            raise api.Refused(answer)
        made = None
        if answer.code == "idempotency_key_reused":
            # The form has bought already, as it was filled in before. A page with a new key would invite to buy twice.
            made = self._newest_order(goods_id, token, spoken)
            if made is not None and made.ok:
                return see_other(_address_of(made.data))
        # Where the purchase may have been made, or may be sent again, the key stays. A new attempt has a new one.
        answer = made or answer
        key_stays = made is not None or answer.status >= 500
        quote = answer.data.get("quote") or self._quote(goods_id, purchase, token, spoken)
        response = self._pages.filled_item(
            goods_id,
            session,
            purchase,
            refused(answer, spoken),
            field_errors(answer),
            quote,
            answer.status,
            key if key_stays else None,
        )
        return _with_wait(response, answer)

    def quote(self, goods_id: str) -> Response:
        """What the form as it is filled in would cost. It changes nothing, so its answer is the page itself."""
        form, spoken, session = forms.read(request), language(), self._visitors.session()
        purchase = Purchase(form)
        if session is None:
            _only_for_browsers()
            return self._pages.filled_item(goods_id, None, purchase, _sign_in_first(spoken), status=401)
        self._visitors.check_form(session, form.get("form_token"))
        path = f"/seckill/{checked_goods_id(goods_id)}/quote"
        answer = api.call("POST", path, spoken, self._visitors.token(session), purchase.body(to_buy=False))
        if answer.code == "goods_not_found" or not (answer.ok or wants_html()):
            raise api.Refused(answer)
        failure = None if answer.ok else refused(answer, spoken)
        quote = answer.data if answer.ok else None
        return self._pages.filled_item(goods_id, session, purchase, failure, field_errors(answer), quote, answer.status)

    def pay(self, order_no: str) -> Response:
        return self._act_on(order_no, "pay")

    def cancel(self, order_no: str) -> Response:
        return self._act_on(order_no, "cancel")

    def sign_in(self) -> Response:
        try:
            session = self._visitors.sign_in()
        except (InvalidToken, ValueError):
            if not wants_html():
                raise InvalidToken from None
            failed = outcome_text("unauthenticated", language(), {})
            return self._pages.orders(failed=failed, status=401)
        if wants_html() or request.mimetype == "application/x-www-form-urlencoded":
            response = see_other(next_page(request.form.get("next")))
        else:
            response = flask_response(json_reply({"user_id": session.user_id, "seconds": session.seconds_left()}, 201))
        self._visitors.set_cookie(response, session)
        return response

    def sign_out(self) -> Response:
        session = self._visitors.session()
        if session is not None:
            self._visitors.check_form(session, forms.read(request).get("form_token"))
        response = see_other("/")
        response.delete_cookie(sessions.COOKIE, path="/", httponly=True, samesite="Lax")
        return response

    def issue_token(self) -> Response:
        return self._visitors.issue_token()

    def _act_on(self, order_no: str, verb: str) -> Response:
        form, spoken, session = forms.read(request), language(), self._visitors.session()
        if session is None:
            _only_for_browsers()
            return self._pages.orders(status=401)
        self._visitors.check_form(session, form.get("form_token"))
        # An order is paid or cancelled once: its own number is key enough for a form that is sent twice.
        key = f"shop-{verb}-{checked_order_no(order_no)}"
        answer = api.call("POST", f"/orders/{order_no}/{verb}", spoken, self._visitors.token(session), {}, key)
        if answer.ok:
            return see_other(f"/shop/orders?order={order_no}#order-{order_no}")
        if not wants_html():
            raise api.Refused(answer)
        return self._pages.orders(refused(answer, spoken), answer.status)

    def _ended(self, order_no: str | None) -> Outcome | None:
        """What a form of an order came to that just led here."""
        session = self._visitors.session()
        if session is None or order_no is None:
            return None
        answer = api.call("GET", f"/orders/{order_no}", language(), self._visitors.token(session))
        status = answer.data.get("status")
        if status not in ("paid", "cancelled"):
            return None
        return Outcome(str(status), text(f"outcome.{status}", language()), True)

    def _newest_order(self, goods_id: str, token: str, spoken: str) -> api.Answer | None:
        """The visitor's newest order of the item, or the API's failed answer; None where there is none."""
        query = {"goods_id": goods_id, "sort": "-purchased_at", "limit": 1}
        answer = api.call("GET", "/orders", spoken, token, query=query)
        if not answer.ok:
            return answer
        orders = answer.data["items"]
        return answer._replace(data=orders[0]) if orders else None

    def _quote(self, goods_id: str, purchase: Purchase, token: str, spoken: str) -> dict[str, Any] | None:
        answer = api.call("POST", f"/seckill/{goods_id}/quote", spoken, token, purchase.body(to_buy=False))
        return answer.data if answer.ok else None

    def _refuse_page(self, refusal: Refusal) -> Response:
        """The page of a refusal that is the pages' own."""
        words, status = outcome_text(refusal.code, language(), refusal.details), int(PROBLEMS[refusal.code].status)
        page = self._pages.error(refusal.code, words, status)
        if "retry_after" in refusal.details:
            page.headers["Retry-After"] = str(refusal.details["retry_after"])
        return page

    def _refuse(self, answer: api.Answer) -> Response:
        spoken = language()
        if wants_html():
            page = self._pages.error(answer.code, outcome_text(answer.code, spoken, answer.details), answer.status)
        else:
            page = Response(to_json_bytes(answer.data), answer.status, {"Content-Language": spoken}, mimetype=MIME_TYPE)
        return _with_wait(page, answer)


def _to_the_form(goods_id: str | None = None, order_no: str | None = None) -> Response:
    path = "/shop/orders" if goods_id is None else f"/shop/{quote(goods_id, safe='')}"
    wanted = request.args.get("lang")
    return see_other(f"{path}?lang={wanted}" if wanted in LANGUAGES else path)


def _address_of(order: Mapping[str, Any]) -> str:
    """The page that shows what became of an order."""
    order_no = order["order_no"]
    if order["status"] in ("pending", "paid"):
        return f"/shop/{order['goods_id']}?order={order_no}"
    return f"/shop/orders?order={order_no}#order-{order_no}"


def _only_for_browsers() -> None:
    """Raises InvalidToken, which is a problem as of the API, for what is no browser's form."""
    if not wants_html():
        raise InvalidToken


def _with_wait(response: Response, answer: api.Answer) -> Response:
    """The response with the wait that the API's answer asks for."""
    if "Retry-After" in answer.headers:
        response.headers["Retry-After"] = answer.headers["Retry-After"]
    return response


def _sign_in_first(spoken: str) -> Outcome:
    return Outcome("unauthenticated", outcome_text("unauthenticated", spoken, {}), tone="warn")


def _switch_language() -> Response | None:
    """Where the address asks for a language: the same page without that, and a cookie that remembers it."""
    wanted = request.args.get("lang")
    if wanted not in LANGUAGES:
        return None
    response = see_other(quote(request.path))  # decoded, it may hold line ends and other scripts
    sessions.set_cookie(response, LANGUAGE_COOKIE, wanted, _YEAR, secure=False)  # nothing secret
    return response
