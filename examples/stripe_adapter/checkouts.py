"""Pages of Stripe Checkout, one for each order.

What is requested of Stripe is stored before it is sent: a request that was lost is sent again as it was, under the same
idempotency key, which Stripe answers with the same session.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import stripe

from examples.stripe_adapter.money import to_stripe

# Stripe ends a session 30 minutes to 24 hours after it is made. The slack is for requests on their way and for clocks.
_SLACK = 60
_SHORTEST = 30 * 60 + _SLACK
_LONGEST = 24 * 3600 - _SLACK
_KEEP = 30 * 86_400  # seconds after its end that a row is kept
_ATTEMPTS = 3


class NoPage(Exception):
    """Each session that was made for the order had ended already."""


class _Attempt(NamedTuple):
    number: int
    expires_at: int
    session_id: str | None


class Checkouts:
    """The sessions of orders; `file` is the SQLite file that remembers them."""

    def __init__(self, client: stripe.StripeClient, file: str, return_url: str) -> None:
        self._sessions = client.v1.checkout.sessions
        self._file = file
        self._return_url = return_url
        with self._rows() as rows:
            rows.execute("PRAGMA journal_mode = WAL")
            rows.execute(
                "CREATE TABLE IF NOT EXISTS checkouts (order_no TEXT PRIMARY KEY, attempt INTEGER NOT NULL,"
                " expires_at INTEGER NOT NULL, session_id TEXT)"
            )

    def page(self, order: Mapping[str, Any]) -> str | None:
        """The address of the page where the order, which is pending, is paid; None where it was paid there already.

        Raises StripeError, NoPage, or money.Unpayable.
        """
        for _ in range(_ATTEMPTS):
            attempt = self._attempt(order)
            try:
                session = self._session(order, attempt)
            except stripe.InvalidRequestError as error:
                if error.param != "expires_at":
                    raise
                # The request was stored, but has never reached Stripe; by now its end is too near.
                self._renew("order_no = ? AND attempt = ?", order["order_no"], attempt.number)
                continue
            if session.status == "complete":
                return None
            if session.status == "open" and session.url:
                return session.url
            self._renew("order_no = ? AND attempt = ?", order["order_no"], attempt.number)
        raise NoPage

    def end(self, order_no: str) -> None:
        """Let nobody pay on the order's page any more. Raises StripeError."""
        with self._rows() as rows:
            row = rows.execute("SELECT session_id FROM checkouts WHERE order_no = ?", (order_no,)).fetchone()
        if row is None or row[0] is None:
            return
        try:
            self._sessions.expire(row[0])
        except stripe.InvalidRequestError:
            return  # it is complete, or has expired

    def again(self, session_id: str) -> None:
        """Let the buyer try again: the session is complete, and its payment has failed days later."""
        self._renew("session_id = ?", session_id)

    def prune(self) -> None:
        """Forget what ended long ago, but no attempt that is still to be made: its number is never used twice."""
        with self._rows() as rows:
            rows.execute("DELETE FROM checkouts WHERE expires_at BETWEEN 1 AND ?", (int(time.time()) - _KEEP,))

    def _session(self, order: Mapping[str, Any], attempt: _Attempt) -> stripe.checkout.Session:
        if attempt.session_id is not None:
            return self._sessions.retrieve(attempt.session_id)
        order_no = order["order_no"]
        session = self._sessions.create(
            {
                "mode": "payment",
                "client_reference_id": order_no,
                "metadata": {"order_no": order_no},
                # A charge has the metadata of its payment: a refund names the order by them.
                "payment_intent_data": {"metadata": {"order_no": order_no}},
                # The shop knows one amount in one currency for an order.
                "adaptive_pricing": {"enabled": False},
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {
                            "currency": order["currency"].lower(),
                            "unit_amount": to_stripe(order["total"], order["currency"]),
                            "product_data": {"name": f"{order['goods_name']} × {order['quantity']}"},
                        },
                    }
                ],
                "expires_at": attempt.expires_at,
                "success_url": self._return_url,
                "cancel_url": self._return_url,
            },
            {"idempotency_key": f"checkout-{order_no}-{attempt.number}"},
        )
        with self._rows() as rows:
            rows.execute(
                "UPDATE checkouts SET session_id = ? WHERE order_no = ? AND attempt = ?",
                (session.id, order_no, attempt.number),
            )
        return session

    def _attempt(self, order: Mapping[str, Any]) -> _Attempt:
        """The attempt to pay the order: its parameters are decided once, however many requests come at a time."""
        now = int(time.time())
        deadline = int(datetime.fromisoformat(order["expires_at"]).timestamp())
        expires_at = min(max(deadline, now + _SHORTEST), now + _LONGEST)
        with self._rows() as rows:
            rows.execute(
                "INSERT INTO checkouts VALUES (?, 1, ?, NULL) ON CONFLICT (order_no) DO UPDATE"
                " SET expires_at = excluded.expires_at WHERE expires_at = 0",
                (order["order_no"], expires_at),
            )
            query = "SELECT attempt, expires_at, session_id FROM checkouts WHERE order_no = ?"
            return _Attempt(*rows.execute(query, (order["order_no"],)).fetchone())

    def _renew(self, condition: str, *values: str | int) -> None:
        """Make another session at the next request. The condition names the present one: it is renewed once."""
        with self._rows() as rows:
            rows.execute(
                "UPDATE checkouts SET attempt = attempt + 1, expires_at = 0, session_id = NULL WHERE " + condition,  # noqa: S608
                values,
            )

    @contextmanager
    def _rows(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=10)) as connection, connection:
            yield connection
