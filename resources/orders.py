"""`/orders`: a buyer's own; all of them for administrators."""

import re
from dataclasses import asdict
from typing import Any

from core import refusals
from core import refusals as codes
from core.orders import order_life, order_list, orders
from core.orders.order_list import Filters
from core.orders.orders import Viewer
from core.payments import payments, refunds
from core.refusals import Refusal
from core.tokens import Identity
from resources import inputs, schemas
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation
from resources.http.paging import Listing
from resources.http.serialiser import serialiser

_TAG = "Orders"
_ORDER_NO = re.compile(r"[0-9a-f]{32}")


# An order as the contract shows it.
order_json = serialiser(schemas.Order)


def viewer_of(caller: Identity) -> Viewer:
    return Viewer(caller.user_id, caller.is_admin)


def filters_of(query: inputs.OrdersFilter) -> Filters:
    return Filters(query.status, query.goods_id, query.user_id, query.purchased_from, query.purchased_to)


def _order_no(text: str) -> str:
    if not _ORDER_NO.fullmatch(text):
        raise Refusal(refusals.ORDER_NOT_FOUND)
    return text


class OrderList(ApiResource):
    @operation(
        Operation(
            "listOrders",
            _TAG,
            Access.BUYER,
            {200: schemas.OrdersPage},
            query=inputs.OrdersQuery,
            refusals=(codes.UNAVAILABLE,),
        )
    )
    def get(self, caller: Identity, query: inputs.OrdersQuery) -> dict[str, Any]:
        """List orders: a buyer's own, or everyone's for an administrator.

        In ascending order, a client that continues from each `next_cursor` misses no order; while orders are being
        placed, such a page is answered up to a second later.
        """
        filters = filters_of(query)
        viewer = None if caller.is_admin else caller.user_id
        listing = Listing("orders", viewer=viewer, sort=query.sort, **asdict(filters))
        page = order_list.list_page(
            services().database,
            viewer_of(caller),
            listing.request(query.limit, query.cursor),
            filters,
            descending=query.sort.startswith("-"),
        )
        return listing.answer([order_json(order) for order in page.items], page.after)


class OrderItem(ApiResource):
    @operation(
        Operation(
            "getOrder", _TAG, Access.BUYER, {200: schemas.Order}, refusals=(codes.ORDER_NOT_FOUND, codes.UNAVAILABLE)
        )
    )
    def get(self, order_no: str, caller: Identity) -> dict[str, Any]:
        """Read an order. Another user's order is a 404, as if it did not exist."""
        return order_json(orders.find(services().database, viewer_of(caller), _order_no(order_no)))


class OrderCancel(ApiResource):
    @operation(
        Operation(
            "cancelOrder",
            _TAG,
            Access.BUYER,
            {200: schemas.Order},
            body=inputs.NoFields,
            body_optional=True,
            refusals=(codes.ORDER_NOT_FOUND, codes.ORDER_NOT_PENDING, codes.UNAVAILABLE),
        )
    )
    def post(self, order_no: str, caller: Identity, body: inputs.NoFields) -> dict[str, Any]:
        """Cancel a pending order; its units return to the stock."""
        return order_json(order_life.cancel(services().database, viewer_of(caller), _order_no(order_no)))


class OrderPay(ApiResource):
    @operation(
        Operation(
            "payOrder",
            _TAG,
            Access.BUYER,
            {200: schemas.Order},
            body=inputs.NoFields,
            body_optional=True,
            refusals=(codes.ORDER_NOT_FOUND, codes.ORDER_NOT_PENDING, codes.UNAVAILABLE),
            offered=lambda settings: settings.test_payments,
            offered_by="PAYMENT_PROVIDER",
        )
    )
    def post(self, order_no: str, caller: Identity, body: inputs.NoFields) -> dict[str, Any]:
        """Pay one's own pending order by this call, without money: only where `PAYMENT_PROVIDER` is `test`."""
        return order_json(payments.pay(services().database, caller.user_id, _order_no(order_no)))


class OrderRefund(ApiResource):
    @operation(
        Operation(
            "refundOrder",
            _TAG,
            Access.ADMIN,
            {200: schemas.Order},
            body=inputs.RefundBody,
            refusals=(codes.ORDER_NOT_FOUND, codes.ORDER_NOT_REFUNDABLE, codes.UNAVAILABLE),
        )
    )
    def post(self, order_no: str, caller: Identity, body: inputs.RefundBody) -> dict[str, Any]:
        """Record that the money of a paid or refund_due order was given back. It moves no money.

        The same reference again gives the same answer and changes nothing.
        """
        return order_json(
            refunds.refund(services().database, caller.user_id, _order_no(order_no), body.reference, body.restock)
        )
