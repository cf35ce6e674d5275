"""What the audit says of the life of orders: their times, and the events written of them."""

from datetime import timedelta

import pytest

from core.catalogue import goods
from core.ops import audit
from core.services import Services
from tests.core.stored import EVENT_TYPES, MINUTES, NOW, broken, place, rows_of, sql


@pytest.fixture
def item(services: Services) -> int:
    """An item with 100 units."""
    return goods.create(services.database, "root", {"name": "Kettle", "currency": "CNY", "price": 100, "stock": 100}).id


@pytest.mark.parametrize("numbered", [True, False])
def test_orders_of_which_all_is_told_are_clean(services: Services, item: int, numbered: bool) -> None:
    for number, status in enumerate(EVENT_TYPES):
        place(services, item, f"N{number}", status=status, numbered=numbered, per_user_limit=None)
    assert broken(audit.run(services.settings)) == {}


def test_an_order_is_told_of_partly_with_a_number_and_partly_without(services: Services, item: int) -> None:
    place(services, item, "N1", numbered=True)
    place(services, item, "N2", status="paid", event_types=(), numbered=True)
    sql(
        services,
        "INSERT INTO outbox (occurred_at, events) VALUES ('2026-11-23 12:00:00.000',"
        f""" '[["order.paid",{item},"N2"],["goods.sold_out",{item},null],["goods.restocked",{item},null]]')""",
    )
    assert broken(audit.run(services.settings)) == {}


def test_money_after_the_end_is_told_after_the_end(services: Services, item: int) -> None:
    late = {"expires_at": NOW, "paid_at": NOW + MINUTES}
    place(services, item, "N1", status="paid", event_types=["order.expired", "order.paid"], **late)
    place(services, item, "N2", status="refund_due", event_types=["order.expired", "order.refund_due"])
    assert broken(audit.run(services.settings)) == {}


# The status, the types of the events after the placing, and how many events of that are missing, doubled or untrue.
AMISS = [
    ("pending", ["order.paid"], 1),
    ("pending", ["order.expired", "order.cancelled"], 2),
    ("paid", [], 1),
    ("paid", ["order.paid", "order.paid"], 1),
    ("paid", ["order.cancelled", "order.paid"], 1),
    ("paid", ["order.expired", "order.expired", "order.paid"], 1),
    ("paid", ["order.paid", "order.refund_due"], 1),
    ("cancelled", [], 1),
    ("cancelled", ["order.expired"], 2),
    ("cancelled", ["order.cancelled", "order.expired"], 1),
    ("expired", ["order.expired", "order.expired"], 1),
    ("expired", ["order.paid", "order.expired"], 1),
    ("refund_due", ["order.refund_due"], 1),
    ("refund_due", ["order.cancelled", "order.expired", "order.refund_due"], 1),
    ("refund_due", ["order.cancelled"], 1),
    ("refund_due", ["order.paid", "order.cancelled", "order.refund_due"], 1),
]


def test_what_is_told_amiss_is_found(services: Services, item: int) -> None:
    wanted = []
    for place_, (status, event_types, wrong) in enumerate(AMISS):
        order_no = f"N{place_:02}-{status}"
        place(services, item, order_no, status=status, event_types=event_types, user_id=order_no)
        wanted.append(audit.Breach(item, order_no, order_no, None, expected=0, found=wrong))
    place(services, item, "N99")
    report = audit.run(services.settings)
    assert broken(report) == {"moves_told_once": len(AMISS)}
    assert rows_of(report, "moves_told_once") == tuple(wanted)


@pytest.mark.parametrize(("times", "deleted"), [(0, "outbox"), (2, "")])
def test_an_order_that_was_not_told_to_be_placed_once_is_found(
    services: Services, item: int, times: int, deleted: str
) -> None:
    place(services, item, "N1", event_types=["order.placed"] * (times - 1))
    if deleted:
        sql(services, f"DELETE FROM {deleted}")
    report = audit.run(services.settings)
    assert broken(report) == {"placed_told_once": 1}
    assert rows_of(report, "placed_told_once")[0].found == times


@pytest.mark.parametrize("numbered", [True, False])
def test_an_event_of_an_order_that_is_not_there_is_found(services: Services, item: int, numbered: bool) -> None:
    place(services, item, "N1", numbered=numbered)
    sql(services, "DELETE FROM orders", "UPDATE goods SET stock = 100, sold = 0")
    report = audit.run(services.settings)
    assert broken(report) == {"events_have_orders": 1}
    assert rows_of(report, "events_have_orders")[0].order_no == "N1"


def test_an_event_that_names_another_item_is_found(services: Services, item: int) -> None:
    place(services, item, "N1", numbered=True)
    sql(services, "UPDATE events SET goods_id = goods_id + 1")
    assert broken(audit.run(services.settings)) == {"events_have_orders": 1}


MISFITS = [
    ("pending", "paid_at = purchased_at"),
    ("pending", "closed_at = purchased_at"),
    ("paid", "paid_at = NULL"),
    ("paid", "closed_at = purchased_at"),
    ("cancelled", "closed_at = NULL"),
    ("cancelled", "paid_at = purchased_at"),
    ("expired", "closed_at = NULL"),
    ("refund_due", "closed_at = NULL"),
    ("refund_due", "paid_at = purchased_at"),
]


def test_times_that_do_not_fit_the_status_are_found(services: Services, item: int) -> None:
    for number, (status, change) in enumerate(MISFITS):
        for order_no in (f"wrong-{number}", f"right-{number}"):
            place(services, item, order_no, status=status, user_id=order_no)
        sql(services, f"UPDATE orders SET {change} WHERE order_no = 'wrong-{number}'")
    report = audit.run(services.settings)
    assert broken(report) == {"times_fit_the_status": len(MISFITS)}
    found = [breach.order_no for breach in rows_of(report, "times_fit_the_status")]
    assert found == [f"wrong-{number}" for number in range(len(MISFITS))]


class TestLimitsOfLatePayments:
    """An order that is paid after it had expired takes its units again, under the limit of then."""

    def test_what_was_bought_meanwhile_counts_against_it(self, services: Services, item: int) -> None:
        late = {"expires_at": NOW, "paid_at": NOW + 2 * MINUTES, "event_types": ["order.expired", "order.paid"]}
        place(services, item, "N1", status="paid", quantity=2, per_user_limit=3, **late)
        # Bought under a limit of 1 while the first had expired: the second is no breach, though the first is older.
        place(services, item, "N2", status="paid", per_user_limit=1, purchased_at=NOW + MINUTES)
        assert broken(audit.run(services.settings)) == {}
        sql(services, "UPDATE orders SET per_user_limit = 2 WHERE order_no = 'N1'")
        report = audit.run(services.settings)
        assert broken(report) == {"limit_kept": 1}
        assert rows_of(report, "limit_kept") == (audit.Breach(item, "N1", "alice", None, expected=2, found=3),)

    def test_a_payment_in_time_leaves_the_order_where_it_was(self, services: Services, item: int) -> None:
        place(services, item, "N1", status="paid", quantity=2, paid_at=NOW + 2 * MINUTES)
        place(services, item, "N2", status="paid", per_user_limit=2, purchased_at=NOW + MINUTES)
        report = audit.run(services.settings)
        assert [breach.order_no for breach in rows_of(report, "limit_kept")] == ["N2"]

    def test_within_one_moment_ids_tell(self, services: Services, item: int) -> None:
        place(services, item, "N1", per_user_limit=1)
        place(services, item, "N2", per_user_limit=2, purchased_at=NOW)
        assert audit.run(services.settings).clean
        place(services, item, "N3", per_user_limit=2, purchased_at=NOW + timedelta(milliseconds=1))
        assert [breach.order_no for breach in rows_of(audit.run(services.settings), "limit_kept")] == ["N3"]
