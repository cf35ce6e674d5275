"""`flask init-db` and `flask seed`: the tables, and goods to try a sale with."""

import sys

import click
from flask import current_app

from cli.terminal import as_json_option, console, errors_in_one_line, on_database, print_json, print_table
from core.catalogue.goods import MAX_STOCK
from resources.http.context import services

MAX_SEED = 100_000


@click.command("init-db")
@as_json_option
@on_database(may_be_missing=True)
def init_db(as_json: bool) -> None:
    """Bring the database's tables to this release's schema, and try its locks.

    Doing so twice is the same as once. What was interrupted is finished.
    """
    from models import SCHEMA_REVISION
    from server import prepare

    with errors_in_one_line():
        prepare.upgrade(current_app)
        prepare.prove(current_app)
    if as_json:
        print_json({"schema": SCHEMA_REVISION})
    else:
        click.echo(f"The database is at schema {SCHEMA_REVISION}.")


@click.command("seed")
@click.option("--goods", "count", type=click.IntRange(1, MAX_SEED), default=3, show_default=True, help="Items to make.")
@click.option("--stock", type=click.IntRange(0, MAX_STOCK), default=100, show_default=True, help="Units of each.")
@click.option("--shippable", is_flag=True, help="Make items that need a shipping method and an address.")
@as_json_option
@on_database()
def seed(count: int, stock: int, shippable: bool, as_json: bool) -> None:
    """Put demo items on sale and print their ids; make a few coupons and shipping methods, once."""
    from rich.progress import track

    from core.catalogue.pricing import shown
    from core.ops import seed as seeds

    with errors_in_one_line():
        coupons, methods = seeds.coupons_and_methods(services().database)
        made = seeds.items(services().database, count, stock, shippable)
        if not as_json:
            terminal = console(sys.stderr)
            made = iter(track(made, "Items", total=count, console=terminal, disable=not terminal.is_terminal))
        rows = [{name: getattr(row, name) for name in ("id", "name", "currency", "price", "stock")} for row in made]
    if as_json:
        print_json(
            {
                "goods": rows,
                "coupons": [row.code for row in coupons],
                "shipping_methods": [row.code for row in methods],
            }
        )
        return
    prices = ((row["id"], row["name"], shown(row["price"], row["currency"]), row["stock"]) for row in rows)
    print_table(f"{count} items on sale", ("id", "name", "price", "stock"), prices)
    print_table("Coupons", ("code", "worth"), ((row.code, seeds.worth(row)) for row in coupons))
    fees = ((row.code, row.name, seeds.fee(row)) for row in methods)
    print_table("Shipping methods", ("code", "name", "fee"), fees)
