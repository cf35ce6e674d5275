"""A sale with a coupon, payments, cancellations and expiries, while workers and the database are killed.

Two hundred customers, five items, one coupon with twenty uses, four workers: whenever the books are looked at, they add
up, and in the end no unit and no use is lost or doubled.
"""

import threading
import time
from collections.abc import Callable, Collection
from types import TracebackType

import pytest
import requests

from config import load
from core.ops import audit
from core.ops.audit import CannotAudit
from harness.database_server import DatabaseServer
from harness.eventually import eventually
from harness.service import SECRET, Service
from tests.faults.customers import SETTINGS, Customers
from tests.faults.test_killed_workers import kill
from tests.races.buyers import assert_audit_clean
from tests.races.inside import Inside, until

USES, ITEMS, STOCK, LIMIT = 20, 5, 12, 4


class Auditor:
    """Goes over the books again and again while the `with` block runs; a database that is down is tried again."""

    def __init__(self, uri: str) -> None:
        self._settings = load(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=SECRET)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._audit)
        self.audits = 0
        self.breaches: list[tuple[str, object]] = []
        self.failed: list[BaseException] = []

    def __enter__(self) -> "Auditor":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        if kind is None and self.failed:
            raise self.failed[0]

    def _audit(self) -> None:
        try:
            while not self._done.is_set():
                try:
                    report = audit.run(self._settings)
                except CannotAudit:
                    time.sleep(0.1)
                    continue
                self.audits += 1
                self.breaches += [(result.check.name, result.breaches[:3]) for result in report.results if result.count]
                time.sleep(0.1)
        except BaseException as error:
            self.failed.append(error)

    def go_over(self, times: int = 2, seconds: float = 120) -> None:
        """Wait for so many more audits that began or went on meanwhile; none may find a breach."""
        wanted = self.audits + times
        until(lambda: self.audits >= wanted or self.failed, seconds)
        assert not self.breaches, f"the books do not add up: {self.breaches[:3]}"


def sell(
    service: Service,
    inside: Inside,
    uri: str,
    faults: list[Callable[[], None]],
    unseen: Callable[[Customers], Collection[str]],
) -> None:
    """A sale that goes on through all `faults`, and is gone over after each; and on until nothing is `unseen`."""
    items = [service.create_goods(stock=STOCK, per_user_limit=LIMIT) for _ in range(ITEMS)]
    coupon = service.create_coupon(total_limit=USES, per_user_limit=2)
    customers = Customers(service, items, coupon)
    with Auditor(uri) as auditor:
        with customers:
            for fault in faults:
                customers.wait_for(25)
                fault()
                auditor.go_over()
                restock(service, inside, items)
            customers.wait_for(10)

            def is_enough() -> bool:
                restock(service, inside, items)
                return not unseen(customers)

            # What did not happen was not tested.
            assert eventually(is_enough, 120), f"never seen: {unseen(customers)}"
        customers.settle()
        until(lambda: inside.query("SELECT COUNT(*) FROM orders WHERE status = 'pending'") == [(0,)], 90)  # swept
        auditor.go_over()
    assert_all_is_accounted_for(service, inside, customers)


def restock(service: Service, inside: Inside, items: list[int]) -> None:
    """As many units of each item as were paid, for those never come back: a sale that dries up tests nothing more."""
    paid = "SELECT SUM(quantity) FROM orders WHERE status = 'paid' AND goods_id = %s"
    supplied = "SELECT stock + sold FROM goods WHERE id = %s"

    def is_restocked(item: int) -> bool:
        wanted = STOCK + int(inside.query(paid, item)[0][0] or 0) - int(inside.query(supplied, item)[0][0])
        if wanted <= 0:
            return True
        headers = service.headers("operator", admin=True)
        try:
            answer = requests.patch(
                f"{service.url}/goods/{item}", json={"stock_delta": wanted}, headers=headers, timeout=40
            )
        except requests.RequestException:  # the workers are not all back yet
            return False
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    for item in items:
        until(lambda item=item: is_restocked(item), 60)


def assert_all_is_accounted_for(service: Service, inside: Inside, customers: Customers) -> None:
    """Every answer was true, and everything has come back or was paid. To be called when no order is pending."""
    stored = dict(inside.query("SELECT order_no, status FROM orders"))
    assert customers.orders.keys() == stored.keys(), "orders were lost, or made and never told of"
    payments = {
        event: (order_no, outcome)
        for event, order_no, outcome in inside.query("SELECT event_id, order_no, outcome FROM payments")
    }
    assert payments == customers.outcomes
    for order_no, outcome in payments.values():
        assert (stored[order_no], outcome) in {
            ("paid", "paid"),
            ("paid", "already_paid"),
            ("refund_due", "refund_due"),
        }
    assert {stored[order_no] for order_no in customers.cancelled} <= {"cancelled", "refund_due"}
    # A refusal for a fault is allowed, an error is not.
    assert {status for status, _ in customers.answers if status >= 500} <= {503}, customers.answers
    paid = "SELECT SUM(quantity) FROM orders WHERE status = 'paid'"
    assert inside.query("SELECT SUM(sold) FROM goods") == inside.query(paid)
    used = "SELECT COUNT(*) FROM orders WHERE status = 'paid' AND coupon_code IS NOT NULL"
    assert inside.query("SELECT used FROM coupons") == inside.query(used)
    assert inside.query("SELECT used FROM coupons")[0][0] <= USES
    assert_audit_clean(service)


@pytest.mark.timeout(900)
def test_nothing_is_lost_or_doubled_while_workers_and_the_database_are_killed(
    own_server: DatabaseServer, start_service: Callable[..., Service]
) -> None:
    uri = own_server.create_database("killed")
    service = start_service(uri, workers=4, **SETTINGS)
    inside = Inside(own_server, uri)

    def restart_the_database() -> None:
        own_server.kill()
        time.sleep(0.3)
        own_server.start()

    def kill_workers(victims: slice) -> Callable[[], None]:
        return lambda: kill(service.worker_pids()[victims])

    faults = [kill_workers(slice(0, 1)), restart_the_database, kill_workers(slice(1, 3)), kill_workers(slice(None))]

    def unseen(customers: Customers) -> set[str]:
        seen = {status for (status,) in inside.query("SELECT DISTINCT status FROM orders")}
        if inside.query("SELECT COUNT(*) FROM orders WHERE paid_at > expires_at") != [(0,)]:
            seen.add("a late payment")
        if customers.answers[422, "coupon_exhausted"]:
            seen.add("an exhausted coupon")
        return {"paid", "cancelled", "expired", "refund_due", "a late payment", "an exhausted coupon"} - seen

    sell(service, inside, uri, [*faults, restart_the_database], unseen)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("without_guard", "uses", "breached"),
    [
        ("no_coupon_lock", USES, {"total_limit_kept", "used_is_counted", "taken_within_limits"}),
        # Many uses: an exhausted coupon would keep most customers from ever asking for a unit.
        ("no_row_lock", 100_000, {"stock_not_negative", "limit_kept"}),
    ],
)
def test_without_a_guard_the_audit_tells(
    server: DatabaseServer, start_service: Callable[..., Service], without_guard: str, uses: int, breached: set[str]
) -> None:
    """A sale in which nobody pays, so that it never dries up, until the audit finds what the guard keeps away."""
    with server.throwaway_database() as uri:
        service = start_service(uri, workers=4, without_guard=[without_guard], **SETTINGS)
        Inside(server, uri).drop_stock_check()
        items = [service.create_goods(stock=STOCK, per_user_limit=LIMIT) for _ in range(ITEMS)]
        coupon = service.create_coupon(total_limit=uses, per_user_limit=2)
        try:
            with Auditor(uri) as auditor, Customers(service, items, coupon, habits=("cancel", "forget")):
                until(lambda: breached & {name for name, _ in auditor.breaches}, 120)
        finally:
            service.stop()
