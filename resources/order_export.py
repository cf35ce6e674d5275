"""`/orders/export`: orders as CSV, safe to open in a spreadsheet; read in pages, written to a file, then sent."""

from collections.abc import Iterator

from flask import Response

from core import refusals as codes
from core.db.clock import begin_request
from core.db.database import Database
from core.db.shares import Share
from core.ops import csv_text
from core.orders import order_list
from core.orders.order_list import Filters
from core.orders.orders import Viewer
from core.tokens import Identity
from resources import inputs, schemas
from resources.http.auth import Access
from resources.http.context import services
from resources.http.operation import ApiResource, Operation, operation
from resources.orders import filters_of, order_json, viewer_of

CSV = "text/csv"
_FIELDS = tuple(name for name in schemas.Order.model_fields if name != "address")
_ADDRESS = tuple(schemas.OrderAddress.model_fields)


class OrderExport(ApiResource):
    @operation(
        Operation(
            "exportOrders",
            "Orders",
            Access.ADMIN,
            {200: None},
            query=inputs.OrdersFilter,
            refusals=(codes.UNAVAILABLE,),
            media=(
                CSV,
                "order_no,goods_id,goods_name,…\r\n019ab0f32d4a7c1e9b6d52f08a417e33,1,Mechanical keyboard,…\r\n",
            ),
        )
    )
    def get(self, caller: Identity, query: inputs.OrdersFilter) -> Response:
        """Export orders as CSV in UTF-8, the oldest first, a line for each after a line of names.

        The columns are the fields of an order, and those of its address. Text that a spreadsheet would take for a
        formula has an apostrophe before it. It is sent once it is complete: an export that fails is an error.
        """
        # Bound explicitly: the lines are read after the request's own share has ended.
        lines = csv_of(services().database.of(Share.READS), viewer_of(caller), filters_of(query))
        headers = {"Content-Disposition": 'attachment; filename="orders.csv"'}
        return Response(lines, content_type=f"{CSV}; charset=utf-8", headers=headers)


def csv_of(database: Database, viewer: Viewer, filters: Filters) -> Iterator[str]:
    """The orders of a list as CSV, in pieces, the first page of which is read now. Raises Busy or Unavailable."""
    pages = order_list.every(database, viewer, filters)

    def rows() -> Iterator[list[object]]:
        begin_request(None)  # an export may exceed a request's deadline; each page has its own
        for order in (order_json(order) for page in pages for order in page):
            address = order["address"] or {}
            yield [order[name] for name in _FIELDS] + [address.get(name) for name in _ADDRESS]

    return csv_text.pieces([*_FIELDS, *(f"address_{name}" for name in _ADDRESS)], rows())
