"""The commands of `flask`, for operators. What is heavy is imported by the command that needs it: workers load it.

Tables and bars are for eyes; `--json` prints one object on stdout for machines. Errors are one line on stderr.
"""

import logging
import os
import signal
import sys
import threading
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from cli.report import report
from cli.terminal import again_and_again, console, errors_in_one_line, fail, print_json, print_table, stop_is_asked
from core.catalogue.goods import MAX_STOCK
from core.db.clock import iso
from core.ops.text_output import escape_what_cannot_be_shown
from resources.context import services

if TYPE_CHECKING:
    from core.ops.audit import Report
    from core.ops.finding import Finding

EXIT_UNREADABLE = 2
MAX_TOKEN_HOURS = 24 * 365
MAX_SEED = 100_000
_PRUNE_SECONDS = 3600.0

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def register(app: Flask) -> None:
    """Add the commands to `flask`."""
    for command in (init_db, seed, token, audit, sweep, publish, prune, doctor, report):
        app.cli.add_command(command)
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":  # not in a worker, which never migrates
        from server import prepare

        escape_what_cannot_be_shown()
        # Process 1 of a container, which has no handler, would not hear it.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        # Commands say what is wrong in a line of their own.
        logging.getLogger("seckill").addHandler(logging.NullHandler())
        prepare.offer_migrations(app)


@click.command("init-db")
@as_json_option
@with_appcontext
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
@with_appcontext
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


@click.command("token")
@click.option("--user", required=True, help="The user's id, 1 to 64 characters.")
@click.option("--admin", is_flag=True, help="With an administrator's rights.")
@click.option(
    "--hours",
    type=click.FloatRange(0, MAX_TOKEN_HOURS, min_open=True),
    default=12,
    show_default=True,
    help="Hours until it expires.",
)
@as_json_option
@with_appcontext
def token(user: str, admin: bool, hours: float, as_json: bool) -> None:
    """Print a token for the API, and nothing else."""
    import jwt

    try:
        made = services().tokens.issue(user, admin, hours)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not as_json:
        click.echo(made)
        return
    expires = jwt.decode(made, options={"verify_signature": False})["exp"]
    expires_at = iso(datetime.fromtimestamp(expires, timezone.utc))
    print_json({"token": made, "user": user, "admin": admin, "expires_at": expires_at})


@click.command("audit")
@as_json_option
@with_appcontext
def audit(as_json: bool) -> None:
    """Check the invariants of the sale over the whole database.

    One consistent snapshot, beside a running service. Exits 0 where all hold, 1 on any breach, 2 where the database
    cannot be read.
    """
    from rich.progress import Progress

    from core.ops import audit as audits

    terminal = console(sys.stderr)
    with Progress(console=terminal, transient=True, disable=as_json or not terminal.is_terminal) as bar:
        task = bar.add_task("Checks", total=len(audits.CHECKS))
        try:
            report = audits.run(services().settings, lambda check: bar.advance(task))
        except audits.CannotAudit as error:
            bar.stop()
            fail(str(error), EXIT_UNREADABLE)
    if as_json:
        print_json(audits.as_object(report))
    else:
        _show_report(report)
    if not report.clean:
        sys.exit(1)


@click.command("sweep")
@click.option("--loop", is_flag=True, help="Go on until stopped, every SWEEP_SECONDS.")
@as_json_option
@with_appcontext
def sweep(loop: bool, as_json: bool) -> None:
    """Give back the units and coupons of orders whose time to pay is over, and forget idempotency keys over a day old.

    The workers do so themselves, unless SWEEPER is off; any number of sweepers may run. With --loop a sweep that found
    nothing prints nothing, and one that failed a line on stderr.
    """
    from core import idempotency
    from core.orders import expiry

    def once() -> None:
        expired = expiry.sweep(services().database)
        idempotency.prune(services().database)
        if as_json and (expired or not loop):
            print_json({"expired": expired})
        elif expired or not loop:
            click.echo(f"{expired:,} orders expired.")

    if loop:
        again_and_again(services().settings.SWEEP_SECONDS, once)
        return
    with errors_in_one_line():
        once()


@click.command("publish")
@click.option("--loop", is_flag=True, help="Go on until stopped, every second.")
@as_json_option
@with_appcontext
def publish(loop: bool, as_json: bool) -> None:
    """Number what happened, and send to webhooks what is due.

    The workers do so themselves, unless PUBLISHER is off; any number of publishers may run. With --loop nothing is
    printed but, for a turn that failed, a line on stderr.
    """
    from core.events.publisher import SECONDS, Publisher

    stopped = threading.Event()
    publisher = Publisher(services().database, resting=stopped.is_set)
    if loop:
        again_and_again(SECONDS, publisher.turn)
        stopped.set()
        publisher.finish()
        return
    with errors_in_one_line():
        numbered = publisher.turn()
        while more := publisher.turn():
            numbered += more
    attempts = publisher.finish()
    if as_json:
        print_json({"numbered": numbered, "attempts": attempts})
    else:
        told = ", ".join(f"{count:,} {status}" for status, count in sorted(attempts.items()))
        click.echo(f"{numbered:,} events numbered; attempts to deliver: {told or 'none'}.")


@click.command("prune")
@click.option("--loop", is_flag=True, help="Go on until stopped, every hour.")
@as_json_option
@with_appcontext
def prune(loop: bool, as_json: bool) -> None:
    """Delete what is older than the settings keep: events, webhooks' logs, payments without effect, items' history,
    figures of sales.

    Nothing else does so. It works beside a running sale, in small transactions; any number may run. With --loop a turn
    that deleted nothing prints nothing, and one that failed a line on stderr.
    """
    from core.ops import retention

    def once() -> None:
        deleted = asdict(retention.prune(services().database, stop_is_asked))
        if as_json and (any(deleted.values()) or not loop):
            print_json({"deleted": deleted})
        elif any(deleted.values()) or not loop:
            click.echo("Deleted: " + ", ".join(f"{count:,} {kind}" for kind, count in deleted.items()) + ".")

    if loop:
        again_and_again(_PRUNE_SECONDS, once)
        return
    with errors_in_one_line():
        once()


@click.command("doctor")
@as_json_option
@with_appcontext
def doctor(as_json: bool) -> None:
    """Examine settings, database and durability, and say how to mend what is wrong. Exits 1 on any problem."""
    from core.ops import doctor as doctors
    from core.ops.finding import State

    service = services()
    findings = doctors.examine(service.database, service.settings)
    healthy = all(finding.state is not State.PROBLEM for finding in findings)
    if as_json:
        checks = [asdict(finding) | {"state": finding.state.value} for finding in findings]
        print_json({"ok": healthy, "checks": checks})
    else:
        _show_findings(findings)
    if not healthy:
        sys.exit(1)


def _show_report(report: "Report") -> None:
    title = f"{report.goods:,} items and {report.orders:,} orders at {iso(report.taken_at)}"
    checks = ((r.check.invariant, r.check.promise, r.count or "none") for r in report.results)
    print_table(title, ("invariant", "promise", "breaches"), checks)
    if report.money:
        from core.catalogue.pricing import shown

        sums = (
            (m.currency, *(shown(a, m.currency) for a in (m.received, m.kept, m.given_back, m.to_give_back)))
            for m in report.money
        )
        print_table("Money", ("currency", "received", "kept", "given back", "to be given back"), sums)
    rows = [(r.check.invariant, r.check.name, *asdict(b).values()) for r in report.results for b in r.breaches]
    if not rows:
        return
    total = sum(result.count for result in report.results)
    title = "Breaches" if total == len(rows) else f"Breaches: {len(rows):,} of {total:,} are shown"
    columns = ("invariant", "check", "goods", "order_no", "user", "idempotency key", "expected", "found", "coupon")
    # A key that none of the rows has would only take width.
    used = [place for place in range(len(columns)) if any(row[place] is not None for row in rows)]
    print_table(title, [columns[place] for place in used], ([row[place] for place in used] for row in rows))


def _show_findings(findings: "list[Finding]") -> None:
    styles = {"ok": "green", "warning": "yellow", "problem": "bold red"}
    rows = ((f.name, f.state.value, f.found, f.mend) for f in findings)
    print_table("", ("check", "state", "found", "how to mend it"), rows, [styles[f.state.value] for f in findings])
