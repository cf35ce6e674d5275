"""Items, coupons and orders to try the life of orders on, and what is left of them."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select, update

from core.catalogue import goods
from core.catalogue.quotes import Choices
from core.db.clock import Deadline, database_now, utc_now
from core.orders import orders
from core.orders.orders import OrderView, Viewer
from core.purchase import batch
from core.purchase.decide import Placed, PurchaseRequest
from core.purchase.slots import Caps
from core.services import Services
from models import HOLDING_STATUSES, Coupon, CouponUse, Goods, Order, Outbox

ADMIN = Viewer("operator", True)

# What is raised where an order would give back what it held once more, or end again.
ENDED_TWICE = "had come back already|are not among those sold|changed under its|ended otherwise"


class Selling:
    """One shop's rows, written as purchases and administrators write them."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._caps = Caps(services.database, 2)

    def item(self, **fields: Any) -> int:
        """Put an item up, by default ten units at 100."""
        row = goods.create(self._database, "t", {"name": "x", "currency": "CNY", "price": 100, "stock": 10, **fields})
        return row.id

    def coupon(self, code: str = "TEN", **fields: Any) -> str:
        """A coupon that takes ten off, without limits unless said."""
        with self._writing() as connection:
            now = connection.execute(select(utc_now())).scalar_one()
            values = {"kind": "amount", "amount": 10, "currency": "CNY", "created_at": now, "updated_at": now, **fields}
            connection.execute(insert(Coupon).values(code=code, **values))
        return code

    def bought(self, item: int, user: str = "alice", quantity: int = 1, coupon: str | None = None) -> OrderView:
        """Buy, and return the order."""
        choices = Choices(coupon_code=coupon) if coupon else PurchaseRequest(item, user).choices
        request = PurchaseRequest(item, user, quantity, choices=choices)
        (outcome,) = batch.serve(self._database, self._caps, [request], Deadline(60))
        assert isinstance(outcome, Placed), outcome
        return outcome.order

    def make_overdue(self, *bought: OrderView) -> None:
        """Let the orders' time to pay be over for a second."""
        self.set_end(self.now() - timedelta(seconds=1), *bought)

    def set_end(self, end: datetime, *bought: OrderView) -> None:
        """Let the orders' time to pay be over at `end`."""
        with self._writing() as connection:
            numbers = [order.order_no for order in bought]
            connection.execute(update(Order).where(Order.order_no.in_(numbers)).values(expires_at=end))

    def is_overdue(self, order: OrderView) -> bool:
        with self._database.reading() as connection:
            return database_now(connection) >= order.expires_at

    def set_coupon(self, code: str, **columns: Any) -> None:
        with self._writing() as connection:
            connection.execute(update(Coupon).where(Coupon.code == code).values(columns))

    def set_status(self, order: OrderView, status: str) -> None:
        with self._writing() as connection:
            connection.execute(update(Order).where(Order.order_no == order.order_no).values(status=status))

    def now(self) -> datetime:
        """The database's time."""
        with self._database.reading() as connection:
            return database_now(connection)

    def uses(self, code: str) -> list[Any]:
        """The rows of the coupon's uses."""
        with self._database.reading() as connection:
            query = select(*CouponUse.__table__.columns).where(CouponUse.coupon_code == code)
            return list(connection.execute(query))

    def status(self, order: OrderView) -> str:
        """As it is stored, whatever the time."""
        return self.row(order).status

    def row(self, order: OrderView) -> Any:
        with self._database.reading() as connection:
            return connection.execute(select(*Order.__table__.columns).where(Order.order_no == order.order_no)).one()

    def shown(self, order: OrderView) -> str:
        """As its owner sees it."""
        return orders.find(self._database, ADMIN, order.order_no).status

    def stock(self, item: int) -> tuple[int, int]:
        """Units in stock, and sold."""
        with self._database.reading() as connection:
            row = connection.execute(select(Goods.stock, Goods.sold).where(Goods.id == item)).one()
        return row.stock, row.sold

    def used(self, code: str = "TEN") -> tuple[int, int]:
        """Uses that the coupon counts, and uses that have not come back."""
        with self._database.reading() as connection:
            counted = connection.execute(select(Coupon.used).where(Coupon.code == code)).scalar_one()
            query = select(CouponUse.order_no).where(CouponUse.coupon_code == code, CouponUse.returned_at.is_(None))
            return counted, len(connection.execute(query).all())

    def happened(self) -> list[tuple[str, str | None]]:
        """The events in the outbox so far, (type, order number), in the order of their writing."""
        return [(kind, order_no) for events in self.outbox() for kind, _, order_no in events]

    def outbox(self) -> list[list[Any]]:
        """The events so far, a list for each transaction."""
        with self._database.reading() as connection:
            return list(connection.execute(select(Outbox.events).order_by(Outbox.id)).scalars())

    def _writing(self) -> Any:
        return self._database.engine.begin()

    def assert_exact(self, items: list[int], units: int, code: str) -> None:
        """Of each item, `units` are in stock or held by an order; the coupon counts the uses of such orders."""
        holding = (Order.goods_id.in_(items), Order.status.in_(HOLDING_STATUSES))
        with self._database.reading() as connection:
            for item in items:
                query = select(func.coalesce(func.sum(Order.quantity), 0)).where(Order.goods_id == item, holding[1])
                held = int(connection.execute(query).scalar_one())
                assert self.stock(item) == (units - held, held)
            query = select(func.count()).select_from(Order).where(Order.coupon_code == code, *holding)
            users = connection.execute(query).scalar_one()
            assert self.used(code) == (users, users)
            limit = connection.execute(select(Coupon.total_limit).where(Coupon.code == code)).scalar_one()
            assert limit is None or users <= limit
