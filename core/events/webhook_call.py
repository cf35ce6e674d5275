"""One signed call to a subscriber: a POST over a connection to an address that the policy has checked.

It uses the standard library's client because that can be bound to one address while the name stays in the Host header,
in SNI and in the check of the certificate; it follows no redirect and ignores proxies of the environment.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache

from core.cut_off import cut_off
from core.events.url_policy import NAMES, Forbidden, ParsedUrl, Unresolved, addresses, parse
from core.name_lookup import NameLookup
from core.refusals import Busy

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
# For the whole call: a subscriber that sends a byte now and then would never exceed READ_SECONDS.
WHOLE_SECONDS = 20.0
_USER_AGENT = "flash-sale-webhooks/1"


class DeliveryError(StrEnum):
    """Why a call failed. No text of the subscriber's is kept."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    PROTOCOL = "protocol"
    UNRESOLVED = "unresolved"
    FORBIDDEN_TARGET = "forbidden_target"
    REDIRECT = "redirect"
    STATUS = "status"
    GONE = "gone"


@dataclass(frozen=True)
class Answer:
    """The result of a call: the subscriber's status, if there was one, and the error; None for success."""

    status: int | None
    error: DeliveryError | None


@dataclass(frozen=True)
class Message:
    """A message to send. `id` is the same in every attempt; `sent_at` is the attempt's time, by the database's clock.

    It is signed with each of `secrets`.
    """

    id: str
    sent_at: datetime
    body: str
    secrets: Sequence[str]


class _Plain(http.client.HTTPConnection):
    """A connection to `address`, without resolving the host's name."""

    def __init__(self, target: ParsedUrl, address: str) -> None:
        super().__init__(target.host, target.port, timeout=CONNECT_SECONDS)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), CONNECT_SECONDS)


class _Secured(_Plain):
    """The same with TLS: SNI has the name, and the certificate must match it."""

    default_port = 443

    def connect(self) -> None:
        super().connect()
        self.sock = tls_context().wrap_socket(self.sock, server_hostname=self.host)


@cache
def tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


def send(url: str, message: Message, private: bool, names: NameLookup = NAMES) -> Answer:
    """Send `message` to `url`. Takes at most WHOLE_SECONDS, plus the time to resolve the name.

    Failures of the subscriber, DNS or the network are returned, not raised.
    """
    try:
        target = parse(url)
        found = addresses(target, private, names)
    except Forbidden:
        return Answer(None, DeliveryError.FORBIDDEN_TARGET)
    except (Unresolved, ValueError):
        return Answer(None, DeliveryError.UNRESOLVED)
    try:
        return _call(target, found, message)
    except TimeoutError:
        return Answer(None, DeliveryError.TIMEOUT)
    except ssl.SSLError:
        return Answer(None, DeliveryError.TLS)
    except OSError:
        return Answer(None, DeliveryError.CONNECTION)
    except http.client.HTTPException:
        return Answer(None, DeliveryError.PROTOCOL)


def _call(target: ParsedUrl, found: Sequence[str], message: Message) -> Answer:
    connection = _connected(target, found)
    late = threading.Event()
    watch = threading.Timer(WHOLE_SECONDS, cut_off, (connection.sock, late))
    watch.daemon = True
    try:
        try:
            watch.start()
        except RuntimeError:  # no thread can be started now
            raise Busy() from None
        connection.sock.settimeout(READ_SECONDS)
        connection.request("POST", target.path, message.body.encode(), _headers(message))
        # The answer's body is not read: the connection is closed instead.
        status = connection.getresponse().status
        if late.is_set():
            raise TimeoutError  # truncated headers look like complete ones
        return _judged(status)
    except (OSError, http.client.HTTPException) as error:
        if late.is_set():
            raise TimeoutError from error
        raise
    finally:
        watch.cancel()
        connection.close()


def _connected(target: ParsedUrl, found: Sequence[str]) -> http.client.HTTPConnection:
    """A connection to the first address that accepts one; at most two are tried."""
    kind = _Secured if target.scheme == "https" else _Plain
    failed: OSError = ConnectionError()
    for address in found[:2]:
        connection = kind(target, address)
        try:
            connection.connect()
            return connection
        except OSError as error:
            connection.close()
            failed = error
            if isinstance(error, ssl.SSLError):
                break
    raise failed


def _headers(message: Message) -> dict[str, str]:
    from standardwebhooks import Webhook

    return {
        "Content-Type": "application/json",
        "User-Agent": _USER_AGENT,
        "webhook-id": message.id,
        "webhook-timestamp": str(int(message.sent_at.timestamp())),
        "webhook-signature": " ".join(
            Webhook(secret).sign(message.id, message.sent_at, message.body) for secret in message.secrets
        ),
        "Connection": "close",
    }


def _judged(status: int) -> Answer:
    if 200 <= status < 300:
        return Answer(status, None)
    if status == 410:
        return Answer(status, DeliveryError.GONE)
    return Answer(status, DeliveryError.REDIRECT if 300 <= status < 400 else DeliveryError.STATUS)
