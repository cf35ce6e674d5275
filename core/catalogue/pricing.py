"""The price of a purchase, a pure calculation in the currency's minor unit.

total = unit price × quantity − discount + shipping fee. The discount alone is rounded, half up. No line is negative.
"""

from dataclasses import dataclass

from iso4217 import Currency


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a price, in minor units."""

    unit_price: int
    quantity: int
    discount: int = 0
    shipping_fee: int = 0

    @property
    def subtotal(self) -> int:
        return self.unit_price * self.quantity

    @property
    def total(self) -> int:
        return self.subtotal - self.discount + self.shipping_fee


def percent_of(amount: int, percent: int) -> int:
    """`percent` % of an amount, rounded half up: 1 % of 50 fen is 1 fen."""
    return (amount * percent + 50) // 100


def discount_of(subtotal: int, percent: int | None, max_discount: int | None, amount: int | None) -> int:
    """The discount of a coupon of `percent` (up to `max_discount`) or of an `amount`; at most the subtotal."""
    wanted = percent_of(subtotal, percent) if percent is not None else amount or 0
    if max_discount is not None:
        wanted = min(wanted, max_discount)
    return min(wanted, subtotal)


def decimals(currency: str) -> int:
    """The number of decimals of a currency by ISO 4217: JPY 0, CNY 2, KWD 3."""
    return int(Currency(currency).exponent or 0)


def shown(amount: int, currency: str) -> str:
    """An amount for people: 1999 in CNY is `19.99 CNY`. In minor units if ISO 4217 does not have the currency."""
    try:
        places = decimals(currency)
    except ValueError:  # payments are recorded in whatever currency the provider reports
        return f"{amount:,} {currency} (minor units)"
    if not places:
        return f"{amount:,} {currency}"
    units, rest = divmod(amount, 10**places)
    return f"{units:,}.{rest:0{places}d} {currency}"
