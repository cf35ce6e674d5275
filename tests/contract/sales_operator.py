"""What administrators do to items in the middle of a sale."""

from hypothesis import strategies as st
from hypothesis.stateful import rule
from werkzeug.test import TestResponse

from tests.contract.sales_choices import LIMITS, USERS, WINDOWS, refused
from tests.contract.sales_machine import Purchases
from tests.contract.sales_model import Item
from tests.resources.calls import OPERATOR


class Operated(Purchases):
    """Purchases of items that change meanwhile."""

    @rule(goods_id=Purchases.items, delta=st.integers(-6, 6))
    def restock_or_withdraw(self, goods_id: int, delta: int) -> None:
        item = self.model.items[goods_id]
        answer = self.call.patch(f"/goods/{goods_id}", json={"stock_delta": delta})
        if item.stock + delta < 0:
            refused(answer, 409, "stock_conflict")
            return
        item.stock += delta
        self.changed(answer, item, really=delta != 0)

    @rule(goods_id=Purchases.items, limit=LIMITS, window=WINDOWS, price=st.integers(0, 3))
    def change(self, goods_id: int, limit: int | None, window: tuple, price: int) -> None:
        item = self.model.items[goods_id]
        starts_at, ends_at = window
        before = (item.limit, item.starts_at, item.ends_at, item.price)
        item.limit, item.starts_at, item.ends_at, item.price = limit, starts_at, ends_at, price
        body = {"per_user_limit": limit, "starts_at": starts_at, "ends_at": ends_at, "price": price}
        answer = self.call.patch(f"/goods/{goods_id}", json=body)
        self.changed(answer, item, really=before != (limit, starts_at, ends_at, price))

    @rule(goods_id=Purchases.items, paused=st.sampled_from([False, False, True]))
    def pause_or_resume(self, goods_id: int, paused: bool) -> None:
        item = self.model.items[goods_id]
        answer = self.call.post(f"/goods/{goods_id}/{'pause' if paused else 'resume'}", OPERATOR)
        really, item.paused = item.paused != paused, paused
        self.changed(answer, item, really)
        if paused:
            self.buy(goods_id, "alice", 1, None)

    @rule(goods_id=Purchases.items, behind=st.integers(-1, 1))
    def change_if_unchanged(self, goods_id: int, behind: int) -> None:
        item = self.model.items[goods_id]
        headers = {"If-Match": f'"{item.version - behind}"'}
        answer = self.call.patch(f"/goods/{goods_id}", json={"stock_delta": 1}, headers=headers)
        if behind:
            refused(answer, 412, "version_mismatch")
            return
        item.stock += 1
        self.changed(answer, item, really=True)

    def changed(self, answer: TestResponse, item: Item, really: bool) -> None:
        assert answer.status_code == 200, answer.text
        item.version += really
        item.changes += really
        self.matches(answer.json, item)

    @rule(price=st.integers(0, 3), name=USERS, ordered=st.booleans())
    def create_and_delete(self, price: int, name: str, ordered: bool) -> None:
        goods_id = self.create(price, 1, None, (None, None), False)
        if ordered:
            self.buy(goods_id, name, 1, None)
            refused(self.call.delete(f"/goods/{goods_id}"), 409, "has_orders")
            return
        self.steps.append("deleted")
        assert self.call.delete(f"/goods/{goods_id}").status_code == 204
        del self.model.items[goods_id]
        for answer in (self.call.get(f"/goods/{goods_id}"), self.call.buy(goods_id, self.user(name))):
            refused(answer, 404, "goods_not_found")
