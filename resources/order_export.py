"""`/orders/export`: orders as CSV, streamed, safe to open in a spreadsheet."""

import csv
import unicodedata
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Any

from flask import Response

from core.db.clock import begin_request
from core.db.shares import Share
from core.orders import order_list
from core.tokens import Identity
from resources import inputs, schemas
from resources.auth import Access
from resources.context import services
from resources.operation import ApiResource, Operation, operation
from resources.orders import filters_of, order_json, viewer_of

CSV = "text/csv"
_FIELDS = tuple(name for name in schemas.Order.model_fields if name != "address")
_ADDRESS = tuple(schemas.OrderAddress.model_fields)
# A spreadsheet takes text that begins with one of these, or with its full-width form, for a formula.
_FORMULA_STARTS = frozenset("=+-@")


class OrderExport(ApiResource):
    @operation(
        Operation(
            "exportOrders",
            "Orders",
            Access.ADMIN,
            {200: None},
            query=inputs.OrdersFilter,
            refusals=("unavailable",),
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
        reads = services().database.of(Share.READS)
        pages = order_list.every(reads, viewer_of(caller), filters_of(query))
        lines = _lines(order_json(order) for page in pages for order in page)
        headers = {"Content-Disposition": 'attachment; filename="orders.csv"'}
        return Response(lines, content_type=f"{CSV}; charset=utf-8", headers=headers)


def _lines(orders: Iterable[dict[str, Any]]) -> Iterator[str]:
    begin_request(None)  # an export may exceed a request's deadline; each page has its own
    written = StringIO()
    writer = csv.writer(written)
    writer.writerow([*_FIELDS, *(f"address_{name}" for name in _ADDRESS)])
    for order in orders:
        address = order["address"] or {}
        cells = [order[name] for name in _FIELDS] + [address.get(name) for name in _ADDRESS]
        writer.writerow([_safe(cell) for cell in cells])
        if written.tell() > 8192:
            yield _taken(written)
    yield _taken(written)


def _taken(written: StringIO) -> str:
    text = written.getvalue()
    written.seek(0)
    written.truncate()
    return text


def _safe(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    begin = unicodedata.normalize("NFKC", cell).lstrip()[:1]
    return f"'{cell}" if begin in _FORMULA_STARTS else cell
