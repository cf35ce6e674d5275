"""Amounts in the units of the shop and in those of Stripe.

The shop counts in the minor unit of ISO 4217. So does Stripe, also for currencies without one (500 is 500 JPY), with
exceptions: https://docs.stripe.com/currencies#special-cases.
"""

# Without a minor unit in ISO 4217, with two decimals in Stripe's API.
_TIMES_HUNDRED = frozenset({"ISK"})
# Three decimals, of which Stripe takes the last as 0 only.
_IN_TENS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
# ISO 4217 and Stripe's pages do not agree on the unit, or Stripe's do not among themselves: no amount is certain.
_UNCERTAIN = frozenset({"MGA", "UGX"})


class Unpayable(Exception):
    """Stripe cannot take this amount of this currency."""


def to_stripe(amount: int, currency: str) -> int:
    """`amount` of the shop, in Stripe's unit. Raises Unpayable."""
    if currency in _UNCERTAIN or (currency in _IN_TENS and amount % 10):
        raise Unpayable(currency)
    return amount * 100 if currency in _TIMES_HUNDRED else amount


def from_stripe(amount: int, currency: str) -> int:
    """An `amount` of Stripe in the shop's unit. Raises Unpayable where the shop has no such amount."""
    if currency not in _TIMES_HUNDRED:
        return amount
    whole, rest = divmod(amount, 100)
    if rest:
        raise Unpayable(currency)
    return whole
