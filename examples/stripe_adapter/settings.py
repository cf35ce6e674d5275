"""The adapter's settings, from its environment. Values are secrets: no message and no log shows one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class InvalidSettings(Exception):
    """A setting is missing or wrong; the text names it."""


@dataclass(frozen=True)
class Settings:
    """See the README. `poll_seconds` is the longest that a refund waits if nothing announces it."""

    stripe_api_key: str = field(repr=False)
    stripe_webhook_secret: str = field(repr=False)
    shop_token: str = field(repr=False)
    shop_payment_secret: str = field(repr=False)
    shop_events_secret: str = field(repr=False)
    shop_url: str
    return_url: str
    stripe_api_base: str
    state_file: str
    poll_seconds: float


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of `environment`. Raises InvalidSettings."""

    def text(name: str, default: str | None = None) -> str:
        value = environment.get(name) or default
        if value is None:
            raise InvalidSettings(f"{name} is not set")
        return value

    return Settings(
        stripe_api_key=text("STRIPE_API_KEY"),
        stripe_webhook_secret=text("STRIPE_WEBHOOK_SECRET"),
        shop_token=text("SHOP_TOKEN"),
        shop_payment_secret=text("SHOP_PAYMENT_SECRET"),
        shop_events_secret=text("SHOP_EVENTS_SECRET"),
        shop_url=_url("SHOP_URL", text("SHOP_URL")),
        return_url=_url("RETURN_URL", text("RETURN_URL"), plain_anywhere=True),
        stripe_api_base=_url("STRIPE_API_BASE", text("STRIPE_API_BASE", "https://api.stripe.com")),
        state_file=text("STATE_FILE", "stripe_adapter.db"),
        poll_seconds=_seconds("POLL_SECONDS", text("POLL_SECONDS", "30")),
    )


def _url(name: str, value: str, plain_anywhere: bool = False) -> str:
    """`value` without a slash at its end.

    Plain HTTP to another host would show Stripe's key, or an administrator's token, to the network.
    """
    parts = urlsplit(value)
    plain_here = parts.scheme == "http" and (plain_anywhere or parts.hostname in _LOOPBACK)
    if not parts.hostname or not (parts.scheme == "https" or plain_here):
        raise InvalidSettings(f"{name} is no https:// address")
    return value.rstrip("/")


def _seconds(name: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise InvalidSettings(f"{name} is not a number of seconds from 0.1 to 3600")
    return seconds
