"""Gives back, through Stripe, the money that the shop owes: late money, and money that was paid twice."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import stripe

from examples.stripe_adapter.money import Unpayable, to_stripe
from examples.stripe_adapter.shop import REFUNDED, Fact, Shop, ShopError

log = logging.getLogger("stripe_adapter")


class Refunds(threading.Thread):
    """Looks what is owed when it is woken, and every `poll_seconds`; `at_each_look` runs before."""

    def __init__(
        self, client: stripe.StripeClient, shop: Shop, poll_seconds: float, at_each_look: Callable[[], None]
    ) -> None:
        super().__init__(name="refunds", daemon=True)
        self._refunds = client.v1.refunds
        self._shop = shop
        self._poll_seconds = poll_seconds
        self._at_each_look = at_each_look
        self._woken = threading.Event()

    def wake(self) -> None:
        self._woken.set()

    def run(self) -> None:
        while True:
            self._woken.clear()
            try:
                self._at_each_look()
                for payment in self._shop.owed():
                    self._give_back(payment)
            except ShopError as error:
                log.warning("refunds wait: %s", error)
            except Exception:
                # This thread is the only one that gives money back: it must not end.
                log.exception("refunds wait")
            self._woken.wait(self._poll_seconds)

    def _give_back(self, payment: Mapping[str, Any]) -> None:
        """Give the whole payment back, once: by the key, and because Stripe refunds no more than was paid."""
        payment_id, order_no = payment["payment_id"], payment["order_no"]
        if not payment_id.startswith("pi_"):
            return  # another provider's
        fact = Fact(REFUNDED, order_no, payment["amount"], payment["currency"], payment_id)
        try:
            refund = self._refunds.create(
                {
                    "payment_intent": payment_id,
                    "amount": to_stripe(fact.amount, fact.currency),
                    "metadata": {"order_no": order_no},
                },
                {"idempotency_key": f"refund-{payment_id}"},
            )
        except stripe.InvalidRequestError as error:
            if error.code != "charge_already_refunded":
                log.error("order %s: payment %s is not refunded: %s", order_no, payment_id, error.code)
                return
        except (stripe.StripeError, Unpayable) as error:
            log.error("order %s: payment %s is not refunded: %s", order_no, payment_id, type(error).__name__)
            return
        else:
            log.info("order %s: payment %s: refund is %s", order_no, payment_id, refund.status)
            if refund.status != "succeeded":
                return  # `charge.refunded` or an operator reports it to the shop
        self._shop.report(fact)
