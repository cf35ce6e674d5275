"""The part of Stripe's API that a shop with Checkout uses, on loopback, and the buyers and events behind it.

Requests are checked as Stripe documents them: key, version, form encoding, idempotency keys, and each parameter
against the types that Stripe publishes with its library.
"""

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import requests
from stripe.params._refund_create_params import RefundCreateParams
from stripe.params.checkout._session_create_params import SessionCreateParams

from harness.serving import serving
from harness.stripe_params import WrongParameter, nested, typed

Json = dict[str, Any]


class StripeFault(Exception):
    """An error as Stripe answers it."""

    def __init__(self, status: int, kind: str, **more: str) -> None:
        self.status = status
        self.error = {"type": kind, "message": "…", **more}


@dataclass
class StripeApi:
    """What Stripe knows, and the requests it had. `faults` are statuses that the next requests are answered with."""

    url: str
    key: str = field(default_factory=lambda: f"sk_test_{secrets.token_hex(12)}")
    webhook_secret: str = field(default_factory=lambda: f"whsec_{secrets.token_hex(16)}")
    sessions: dict[str, Json] = field(default_factory=dict)
    charges: dict[str, Json] = field(default_factory=dict)  # by payment intent
    requests: list[tuple[str, str, Json, str | None]] = field(default_factory=list)  # method, path, parameters, key
    faults: list[int] = field(default_factory=list)
    refund_status: str = "succeeded"
    _answered: dict[str, tuple[str, Json, int, Json]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, headers: dict[str, str], body: str) -> tuple[int, Json]:
        """Answer a request, one at a time."""
        with self._lock:
            try:
                return self._checked(method, path, headers, body)
            except StripeFault as fault:
                return fault.status, {"error": fault.error}

    def _checked(self, method: str, path: str, headers: dict[str, str], body: str) -> tuple[int, Json]:
        if headers.get("authorization") != f"Bearer {self.key}":
            raise StripeFault(401, "invalid_request_error")
        if not headers.get("stripe-version"):
            raise StripeFault(400, "invalid_request_error", param="Stripe-Version")
        if method == "POST" and headers.get("content-type") != "application/x-www-form-urlencoded":
            raise StripeFault(400, "invalid_request_error")
        sent = nested(parse_qsl(body, keep_blank_values=True, strict_parsing=bool(body)))
        key = headers.get("idempotency-key") if method == "POST" else None
        self.requests.append((method, path, sent, key))
        if self.faults:
            raise StripeFault(self.faults.pop(0), "api_error")
        if key is not None and key in self._answered:
            at, before, status, answer = self._answered[key]
            if (at, before) != (path, sent):
                raise StripeFault(400, "idempotency_error")
            return status, answer
        try:
            answer = self._act(method, path.strip("/").split("/")[1:], sent)
        except WrongParameter as wrong:
            raise StripeFault(400, "invalid_request_error", code=wrong.code, param=wrong.name) from None
        if key is not None:
            self._answered[key] = path, sent, 200, dict(answer)
        return 200, answer

    def _act(self, method: str, path: list[str], sent: Json) -> Json:
        match method, *path:
            case "POST", "checkout", "sessions":
                return self._create_session(typed(SessionCreateParams, sent))
            case "GET", "checkout", "sessions", number if number in self.sessions:
                return self.sessions[number]
            case "POST", "checkout", "sessions", number, "expire" if number in self.sessions:
                session = self.sessions[number]
                if session["status"] != "open":
                    raise StripeFault(400, "invalid_request_error")
                session |= {"status": "expired", "url": None}
                return session
            case "POST", "refunds":
                return self._refund(typed(RefundCreateParams, sent))
        raise StripeFault(404, "invalid_request_error", code="resource_missing")

    def _create_session(self, params: Json) -> Json:
        ahead = params["expires_at"] - time.time()
        if not 1800 <= ahead <= 86_400:
            raise WrongParameter("expires_at", "parameter_invalid_integer")
        (line,) = params["line_items"]
        price = line["price_data"]
        if not price["currency"].islower() or not price["unit_amount"] > 0:
            raise WrongParameter("line_items[0][price_data]", "parameter_invalid")
        number = f"cs_test_{secrets.token_hex(12)}"
        self.sessions[number] = {
            "id": number,
            "object": "checkout.session",
            "status": "open",
            "payment_status": "unpaid",
            "url": f"{self.url}/pay/{number}",
            "amount_total": line["quantity"] * price["unit_amount"],
            "currency": price["currency"],
            "payment_intent": None,
            **{name: params[name] for name in ("client_reference_id", "metadata", "mode", "expires_at")},
            "payment_metadata": params["payment_intent_data"]["metadata"],
        }
        return self.sessions[number]

    def _refund(self, params: Json) -> Json:
        charge = self.charges.get(params["payment_intent"])
        if charge is None:
            raise StripeFault(404, "invalid_request_error", code="resource_missing")
        if charge["refunded"]:
            raise StripeFault(400, "invalid_request_error", code="charge_already_refunded")
        amount = params.get("amount", charge["amount"])
        if amount + charge["amount_refunded"] > charge["amount"]:
            raise WrongParameter("amount", "amount_too_large")
        self.refund_some(charge["payment_intent"], amount)
        return {
            "id": f"re_{secrets.token_hex(12)}",
            "object": "refund",
            "amount": amount,
            "status": self.refund_status,
            "payment_intent": charge["payment_intent"],
        }

    def forget_keys(self) -> None:
        """What happens to idempotency keys after a day."""
        self._answered.clear()

    def refund_some(self, payment: str, amount: int) -> None:
        """Give money back, as the dashboard does."""
        charge = self.charges[payment]
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]

    def complete(self, session_id: str, paid: bool = True, amount: int | None = None) -> Json:
        """A buyer pays on the session's page; returns the session. Not `paid`: by a method that takes days."""
        session = self.sessions[session_id]
        assert session["status"] == "open", "nobody can pay on a page that is closed"
        payment = f"pi_{secrets.token_hex(12)}"
        session |= {"status": "complete", "url": None, "payment_intent": payment}
        session |= {"payment_status": "paid" if paid else "unpaid"}
        session |= {} if amount is None else {"amount_total": amount}
        self.charges[payment] = {
            "id": f"ch_{secrets.token_hex(12)}",
            "object": "charge",
            "amount": session["amount_total"],
            "amount_refunded": 0,
            "refunded": False,
            "currency": session["currency"],
            "payment_intent": payment,
            "metadata": session["payment_metadata"],
        }
        return session

    def event(self, kind: str, data: Json) -> bytes:
        """An event about an object as it is now."""
        event = {"id": f"evt_{secrets.token_hex(12)}", "object": "event", "type": kind, "data": {"object": data}}
        return json.dumps(event | {"api_version": "2026-06-30", "created": int(time.time())}).encode()

    def signature(self, body: bytes, at: float | None = None) -> str:
        """The header Stripe-Signature."""
        moment = int(time.time() if at is None else at)
        signed = hmac.new(self.webhook_secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        return f"t={moment},v1={signed}"

    def send(self, url: str, body: bytes) -> int:
        """Deliver an event once; returns the status of the answer."""
        headers = {"Stripe-Signature": self.signature(body), "Content-Type": "application/json"}
        return requests.post(url, data=body, headers=headers, timeout=60).status_code


@contextmanager
def stripe_api() -> Iterator[StripeApi]:
    """Stripe while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0))).decode()
            status, answer = api.answer(self.command, self.path, headers, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api = StripeApi(f"http://127.0.0.1:{server.server_port}")
    with serving(server):
        yield api
