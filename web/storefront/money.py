"""Amounts and times as visitors read them."""

from collections.abc import Mapping

from core.catalogue.pricing import decimals

# As the Unicode CLDR has them: the symbol alone in the currency's own country, elsewhere with what distinguishes it.
_SYMBOLS: Mapping[str, Mapping[str, str]] = {
    "en": {"CNY": "CN¥", "JPY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "KRW": "₩", "INR": "₹", "HKD": "HK$"},
    "zh": {"CNY": "¥", "JPY": "JP¥", "USD": "US$", "EUR": "€", "GBP": "£", "KRW": "￦", "INR": "₹", "HKD": "HK$"},
}
_NO_BREAK_SPACE = "\u00a0"


def prefix(currency: str, language: str) -> str:
    """What stands before an amount: a symbol, or the currency's code and a space."""
    return _SYMBOLS[language].get(currency) or currency + _NO_BREAK_SPACE


def money(amount: int, currency: str, language: str) -> str:
    """An amount in minor units for people: 199900 in CNY is `CN¥1,999.00`, in Chinese `¥1,999.00`."""
    places = decimals(currency)
    units, rest = divmod(abs(amount), 10**places)
    fraction = f".{rest:0{places}d}" if places else ""
    return f"{'−' if amount < 0 else ''}{prefix(currency, language)}{units:,}{fraction}"


def moment(time: str) -> str:
    """A time of the contract for people. Scripts put the visitor's own zone in its place."""
    return f"{time[:10]} {time[11:16]} UTC"
