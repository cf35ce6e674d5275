"""The adapter's routes: an order's payment page, and the webhooks for Stripe's and the shop's events."""

import logging

import stripe
from flask import Flask, Response, redirect, request
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug.wrappers import Response as AnyResponse

from examples.stripe_adapter import settings as settings_module
from examples.stripe_adapter.checkouts import Checkouts, NoPage
from examples.stripe_adapter.events import ORDER_NO, translate
from examples.stripe_adapter.money import Unpayable
from examples.stripe_adapter.refunds import Refunds
from examples.stripe_adapter.settings import Settings
from examples.stripe_adapter.shop import OWED, Shop, ShopError

log = logging.getLogger("stripe_adapter")
_MOST_BYTES = 512 * 1024  # of a body
_STRIPE_SECONDS = 20
_STRIPE_RETRIES = 2


def create_app(settings: Settings | None = None) -> Flask:
    """The adapter as a WSGI application, with its thread for refunds. Raises InvalidSettings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("stripe").setLevel(logging.WARNING)  # it logs each request
    settings = settings or settings_module.load()
    client = stripe.StripeClient(
        settings.stripe_api_key,
        base_addresses={"api": settings.stripe_api_base},
        max_network_retries=_STRIPE_RETRIES,
        http_client=stripe.RequestsClient(timeout=_STRIPE_SECONDS),
    )
    shop = Shop(settings)
    checkouts = Checkouts(client, settings.state_file, settings.return_url)
    refunds = Refunds(client, shop, settings.poll_seconds, checkouts.prune)
    app = Flask("stripe_adapter", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _MOST_BYTES

    @app.get("/orders/<order_no>")
    def pay(order_no: str) -> AnyResponse:
        """Lead a buyer to the order's page at Stripe, or back to the shop where there is nothing to pay."""
        order = shop.order(order_no) if ORDER_NO.fullmatch(order_no) else None
        if order is None:
            return _text(404, "There is no such order.")
        url = checkouts.page(order) if order["status"] == "pending" else None
        return redirect(url or settings.return_url, 303)

    @app.post("/stripe/webhook")
    def stripe_webhook() -> Response:
        """Pass on Stripe's events. Any answer but 2xx makes Stripe send the event again, for three days."""
        try:
            event = client.construct_event(
                request.get_data(), request.headers.get("Stripe-Signature", ""), settings.stripe_webhook_secret
            )
        except (ValueError, stripe.SignatureVerificationError):
            return _text(400, "not signed by Stripe")
        data = event.data.object.to_dict()
        if event.type == "refund.failed":
            # The shop counts the money as given back, and it is not: somebody has to do it by other means.
            log.error("%s: refund %s of payment %s FAILED", event.id, data.get("id"), data.get("payment_intent"))
        for fact in translate(event.type, data):
            outcome = shop.report(fact)
            log.info("%s: order %s: %s: %s", event.id, fact.order_no, fact.type, outcome)
            if outcome in OWED:
                refunds.wake()
        if event.type == "checkout.session.async_payment_failed":
            checkouts.again(data["id"])
        return _text(200, "")

    @app.post("/shop/events")
    def shop_webhook() -> Response:
        """Close the pages of orders that are over. Any answer but 2xx makes the shop send the event again."""
        try:
            event = Webhook(settings.shop_events_secret).verify(request.get_data(), dict(request.headers))
        except (WebhookVerificationError, ValueError):  # the latter: headers that are no signature at all
            return _text(400, "not signed by the shop")
        if event["type"] in ("order.cancelled", "order.expired"):
            checkouts.end(event["order_no"])
        elif event["type"] == "order.refund_due":
            refunds.wake()
        return _text(200, "")

    @app.get("/healthz")
    def alive() -> Response:
        return _text(200 if refunds.is_alive() else 503, "")

    @app.errorhandler(ShopError)
    @app.errorhandler(stripe.StripeError)
    def try_again(error: Exception) -> Response:
        # The text of Stripe's errors may quote what was sent, and a part of the key.
        what = error if isinstance(error, ShopError) else f"Stripe: {type(error).__name__}"
        log.warning("%s: %s", request.endpoint, what)
        return _text(503, "Please try again in a moment.", {"Retry-After": "5"})

    @app.errorhandler(NoPage)
    @app.errorhandler(Unpayable)
    def cannot_pay(error: Exception) -> Response:
        log.error("%s: %s", request.endpoint, type(error).__name__)
        return _text(500, "This order cannot be paid here. Please ask the shop.")

    @app.after_request
    def protect(answer: Response) -> Response:
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    refunds.start()
    return app


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(text, status, headers, content_type="text/plain; charset=utf-8")
