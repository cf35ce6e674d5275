"""Money that goes back through Stripe: what the shop owes, and what is refunded at Stripe."""

from collections.abc import Callable
from typing import Any

from tests.examples.conftest import StripeShop, wait_for

REFUNDS = "/v1/refunds"
COMPLETED = "checkout.session.completed"


def test_late_money_is_given_back(open_shop: Callable[..., StripeShop]) -> None:
    shop = open_shop(PUBLISHER="off")  # the shop's event does not come in time: the page stays open
    order = shop.order(stock=1)
    session = shop.session(order)
    shop.call("POST", f"/orders/{order['order_no']}/cancel", user="alice")
    shop.api.complete(session["id"])
    assert shop.send(COMPLETED, session) == 200
    wait_for(lambda: shop.status(order) == "refunded")
    assert shop.charge(session)["refunded"]
    assert shop.send("charge.refunded", shop.charge(session)) == 200
    assert shop.outcomes(order) == {"refund_due": 1, "refunded": 1}
    assert {key for _, key in shop.requests_for(REFUNDS, order)} == {f"refund-{session['payment_intent']}"}
    assert shop.service.audit().returncode == 0


def test_money_that_came_twice_is_given_back_once(shop: StripeShop) -> None:
    order = shop.order()
    first = shop.pay(order)
    second = dict(first, id="cs_test_second", status="open")
    shop.api.sessions["cs_test_second"] = second
    shop.api.complete("cs_test_second")
    assert shop.send(COMPLETED, second) == 200
    wait_for(lambda: shop.outcomes(order)["refunded"])
    assert shop.charge(second)["refunded"]
    assert not shop.charge(first)["refunded"]
    assert shop.status(order) == "paid"
    assert shop.service.audit().returncode == 0


def test_a_refund_that_stripe_made_without_telling_is_told_to_the_shop(shop: StripeShop) -> None:
    order = shop.order()
    shop.call("POST", f"/orders/{order['order_no']}/cancel", user="alice")
    session = dict(shop_session(shop, order))
    shop.api.refund_some(session["payment_intent"], 19900)
    assert shop.send(COMPLETED, session) == 200
    wait_for(lambda: shop.status(order) == "refunded")


def shop_session(shop: StripeShop, order: dict[str, Any]) -> dict[str, Any]:
    """A paid session of an order that has no page any more."""
    other = shop.order()
    session = shop.session(other)
    number = {"order_no": order["order_no"]}
    session |= {"client_reference_id": order["order_no"], "metadata": number, "payment_metadata": number}
    return shop.api.complete(session["id"])


def test_a_pending_refund_waits_for_stripe_s_word(open_shop: Callable[..., StripeShop]) -> None:
    shop = open_shop(PUBLISHER="off")
    shop.api.refund_status = "pending"
    order = shop.order()
    session = shop.session(order)
    shop.call("POST", f"/orders/{order['order_no']}/cancel", user="alice")
    shop.api.complete(session["id"])
    assert shop.send(COMPLETED, session) == 200
    wait_for(lambda: len(shop.requests_for(REFUNDS, order)) > 1)  # it sends the request again, under the same key
    assert shop.status(order) == "refund_due"
    assert shop.charge(session)["amount_refunded"] == 19900
    assert shop.send("charge.refunded", shop.charge(session)) == 200
    assert shop.status(order) == "refunded"


def test_a_refund_that_comes_before_its_payment_ends_the_same(shop: StripeShop) -> None:
    order = shop.order()
    session = shop.api.complete(shop.session(order)["id"])
    shop.api.refund_some(session["payment_intent"], 19900)
    assert shop.send("charge.refunded", shop.charge(session)) == 200
    assert shop.status(order) == "refunded"
    assert shop.send(COMPLETED, session) == 200
    assert shop.outcomes(order) == {"paid": 1, "refunded": 1}
    assert shop.service.audit().returncode == 0


def test_partial_refunds_are_an_operator_s_until_all_is_given_back(shop: StripeShop) -> None:
    order = shop.order()
    charge = shop.charge(shop.pay(order))
    shop.api.refund_some(charge["payment_intent"], 900)
    assert shop.send("charge.refunded", charge) == 200
    assert (shop.status(order), shop.outcomes(order)["mismatch"]) == ("paid", 1)
    shop.api.refund_some(charge["payment_intent"], 19000)
    assert shop.send("charge.refunded", charge) == 200
    assert shop.status(order) == "refunded"


def test_another_amount_pays_no_order_and_is_left_to_an_operator(shop: StripeShop) -> None:
    order = shop.order()
    session = shop.api.complete(shop.session(order)["id"], amount=100)
    assert shop.send(COMPLETED, session) == 200
    assert (shop.status(order), shop.outcomes(order)) == ("pending", {"mismatch": 1})
    paid_late = shop.order()
    shop.call("POST", f"/orders/{paid_late['order_no']}/cancel", user="alice")
    assert shop.send(COMPLETED, shop_session(shop, paid_late)) == 200
    wait_for(lambda: shop.status(paid_late) == "refunded")  # so refunds were looked for, and the mismatch was not one
    assert not shop.charge(session)["amount_refunded"]
