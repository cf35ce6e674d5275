"""`flask summary`: sold, revenue and refusals, at a glance."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cli.terminal import as_json_option, errors_in_one_line, fail, on_database, print_json, print_table
from core.db.clock import iso
from resources.http.context import services

if TYPE_CHECKING:
    from core.ops.summary import Sales, Summary

_UNREADABLE = 2


@click.command("summary")
@as_json_option
@on_database()
def summary(as_json: bool) -> None:
    """Sum up what was sold, what it brought by currency and item, and what was refused, by reason.

    One consistent snapshot, beside a running service. In JSON money is in the currency's minor unit.
    """
    from core.ops import audit
    from core.ops import summary as summaries

    with errors_in_one_line():
        try:
            made = summaries.make(services().settings)
        except audit.CannotAudit as error:
            fail(str(error), _UNREADABLE)
    if as_json:
        print_json(_as_object(made))
    else:
        _show(made)


def _as_object(made: "Summary") -> dict[str, Any]:
    items = [
        {"goods_id": item.goods_id, "name": item.name, "currency": item.currency, **asdict(item.sales)}
        | {"refusals": dict(sorted(item.refusals.items()))}
        for item in made.items
    ]
    return {
        "taken_at": iso(made.taken_at),
        "currencies": [{"currency": currency, **asdict(sales)} for currency, sales in made.by_currency.items()],
        "items": items,
        "refusals": dict(sorted(made.refusals.items())),
    }


def _show(made: "Summary") -> None:
    columns = ("units", "orders", "paid", "revenue", "refunded", "unpaid")
    by_currency = ((currency, *_cells(sales, currency)) for currency, sales in made.by_currency.items())
    print_table(f"Sold until {iso(made.taken_at)}", ("currency", *columns), by_currency)
    by_item = (
        (item.goods_id, item.name, *_cells(item.sales, item.currency), f"{item.refusals.total():,}")
        for item in made.items
    )
    print_table("By item", ("id", "name", *columns, "refused"), by_item)
    if made.refusals:
        reasons = ((code, f"{count:,}") for code, count in made.refusals.most_common())
        print_table("Refused, by reason", ("code", "requests"), reasons)


def _cells(sales: "Sales", currency: str) -> tuple[str, ...]:
    from core.catalogue.pricing import shown

    money = (shown(amount, currency) for amount in (sales.revenue, sales.refunded, sales.unpaid))
    return (f"{sales.units:,}", f"{sales.orders:,}", f"{sales.paid_orders:,}", *money)
