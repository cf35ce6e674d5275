"""Prices: exact in whole minor units, half up, never below zero."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.catalogue.pricing import Lines, decimals, discount_of, percent_of, shown

prices = st.integers(0, 10**12)
quantities = st.integers(1, 1000)
subtotals = st.integers(0, 10**15)
percents = st.integers(1, 100)
worths = st.none() | st.integers(1, 10**12)


@pytest.mark.parametrize(
    ("amount", "percent", "expected"),
    [
        (50, 1, 1),  # 0.5
        (49, 1, 0),
        (150, 1, 2),  # 1.5: not to the even one below
        (250, 1, 3),  # 2.5: nor here
        (1999, 15, 300),  # 299.85
        (333, 10, 33),
        (335, 10, 34),
        (1, 49, 0),
        (1, 50, 1),
        (0, 100, 0),
        (10**15, 100, 10**15),
        (10**15 + 1, 33, 330000000000000),
    ],
)
def test_a_percentage_is_rounded_half_up(amount: int, percent: int, expected: int) -> None:
    assert percent_of(amount, percent) == expected


@given(amount=subtotals, percent=percents)
def test_a_percentage_is_what_decimal_arithmetic_says(amount: int, percent: int) -> None:
    exact = Decimal(amount) * percent / 100
    assert percent_of(amount, percent) == int(exact.quantize(Decimal(1), rounding=ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("percent", "max_discount", "amount", "discount"),
    [
        (10, None, None, 100),
        (10, 99, None, 99),
        (10, 100, None, 100),
        (10, 101, None, 100),
        (100, None, None, 1000),
        (None, None, 300, 300),
        (None, None, 1000, 1000),
        (None, None, 1001, 1000),
        (None, None, None, 0),
    ],
)
def test_a_discount_of_a_thousand(
    percent: int | None, max_discount: int | None, amount: int | None, discount: int
) -> None:
    assert discount_of(1000, percent, max_discount, amount) == discount


@given(subtotal=subtotals, percent=st.none() | percents, max_discount=worths, amount=worths)
def test_a_discount_is_never_negative_nor_more_than_there_is(
    subtotal: int, percent: int | None, max_discount: int | None, amount: int | None
) -> None:
    discount = discount_of(subtotal, percent, max_discount, amount)
    assert 0 <= discount <= subtotal
    if max_discount is not None:
        assert discount <= max_discount


@given(price=prices, quantity=quantities, percent=percents, fee=st.integers(0, 10**15))
def test_the_total_is_the_sum_of_its_lines_and_never_below_zero(
    price: int, quantity: int, percent: int, fee: int
) -> None:
    discount = discount_of(price * quantity, percent, None, None)
    lines = Lines(price, quantity, discount, fee)
    assert lines.subtotal == price * quantity
    assert lines.total == lines.subtotal - discount + fee
    assert lines.total >= fee
    assert all(type(value) is int for value in (lines.subtotal, lines.discount, lines.total))


@given(subtotal=subtotals, percent=percents)
def test_who_spends_more_is_discounted_no_less(subtotal: int, percent: int) -> None:
    assert discount_of(subtotal + 1, percent, None, None) >= discount_of(subtotal, percent, None, None)


@pytest.mark.parametrize(
    ("currency", "places", "text"),
    [("JPY", 0, "123,456 JPY"), ("CNY", 2, "1,234.56 CNY"), ("KWD", 3, "123.456 KWD")],
)
def test_currencies_have_the_decimals_of_iso_4217(currency: str, places: int, text: str) -> None:
    assert decimals(currency) == places
    assert shown(123456, currency) == text


def test_small_amounts_are_shown_with_all_their_zeros() -> None:
    assert [shown(amount, "KWD") for amount in (0, 1, 10, 1000)] == ["0.000 KWD", "0.001 KWD", "0.010 KWD", "1.000 KWD"]
    assert [shown(amount, "JPY") for amount in (0, 1)] == ["0 JPY", "1 JPY"]
