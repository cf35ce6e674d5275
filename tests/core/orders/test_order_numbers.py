"""Order numbers sort by time and cannot be guessed."""

import itertools
import re
import time
import uuid

from core.orders.order_numbers import new_order_no, new_order_numbers

MANY = 100_000
RANDOM_LOW_BITS = 62  # of a UUIDv7; 12 more stand above them


def test_a_hundred_thousand_are_all_different_and_of_the_same_form() -> None:
    numbers = [new_order_no() for _ in range(MANY)]
    assert len(set(numbers)) == MANY
    assert all(re.fullmatch(r"[0-9a-f]{32}", number) for number in numbers)


def test_a_number_begins_with_the_time_in_milliseconds_however_many_came_before() -> None:
    for _ in range(5000):
        new_order_no()
    before = time.time_ns() // 10**6
    number = new_order_no()
    assert before - 2 <= int(number[:12], 16) <= time.time_ns() // 10**6 + 2


def test_numbers_of_different_milliseconds_sort_by_time() -> None:
    numbers = []
    for _ in range(5):
        numbers.append(new_order_no())
        time.sleep(0.003)
    assert numbers == sorted(numbers)


def test_each_of_the_low_bits_is_fresh_in_each_number() -> None:
    count = 4000
    lows = [int(new_order_no(), 16) & (2**RANDOM_LOW_BITS - 1) for _ in range(count)]
    changes = [first ^ second for first, second in itertools.pairwise(lows)]
    for bit in range(RANDOM_LOW_BITS):
        flips = sum(change >> bit & 1 for change in changes)
        # A fair coin: half of them, within ten standard deviations. A counter's high bits would not move at all.
        assert abs(flips - count / 2) < 10 * (count**0.5) / 2, f"bit {bit} flips {flips} times of {count}"


def test_the_twelve_bits_after_the_version_are_fresh_too() -> None:
    middles = {int(new_order_no()[13:16], 16) for _ in range(2000)}
    # 2,000 draws of 4,096 leave about 1,582 different ones; a sequence within a millisecond would leave few.
    assert len(middles) > 1200


def test_a_number_is_a_uuid_of_version_7() -> None:
    for number in new_order_numbers(100):
        parsed = uuid.UUID(number)
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
