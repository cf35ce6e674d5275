"""`flask report`: what became of a sale, as a page to send or as JSON."""

from pathlib import Path

import click

from cli.terminal import as_json_option, errors_in_one_line, fail, on_database, print_json
from core.refusals import GOODS_NOT_FOUND, Refusal
from resources.http.context import services

_UNREADABLE = 2


@click.command("report")
@click.argument("goods_id", type=click.IntRange(1, 2**63 - 1))
@click.option("--language", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Of the page.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A file to write the page to.")
@as_json_option
@on_database()
def report(goods_id: int, language: str, output: Path | None, as_json: bool) -> None:
    """Write the report of an item's sale as one HTML page that needs nothing else, to be sent.

    The same data give the same bytes. The whole database is audited for it.
    """
    from core.catalogue import goods
    from core.ops import audit
    from core.report import sale_report

    service = services()
    with errors_in_one_line():
        try:
            goods.find(service.database, goods_id)
            made = sale_report.make(service.settings, goods_id, audit.run(service.settings))
        except audit.CannotAudit as error:
            fail(str(error), _UNREADABLE)
        except Refusal as refusal:
            if refusal.code != GOODS_NOT_FOUND:
                raise
            fail(f"there is no item {goods_id}")
    if as_json:
        print_json(made)
        return
    from web.report import render

    page = render(made, language)
    if output is None:
        click.echo(page, nl=False)
        return
    try:
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")
