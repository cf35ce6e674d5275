"""`flask sweep`, `publish` and `prune`: what is done beside the sale, once or until stopped."""

import threading
from dataclasses import asdict

import click

from cli.terminal import again_and_again, as_json_option, errors_in_one_line, on_database, print_json, stop_requested
from resources.http.context import services

_PRUNE_SECONDS = 3600.0


@click.command("sweep")
@click.option("--loop", is_flag=True, help="Go on until stopped, every SWEEP_SECONDS.")
@as_json_option
@on_database()
def sweep(loop: bool, as_json: bool) -> None:
    """Give back the units and coupons of orders whose time to pay is over, and forget idempotency keys over a day old.

    The workers do so themselves, unless SWEEPER is off; any number of sweepers may run. With --loop a sweep that found
    nothing prints nothing, and one that failed a line on stderr.
    """
    from core import idempotency
    from core.orders import expiry

    def once() -> None:
        expired = expiry.sweep(services().database, stop_requested)
        idempotency.prune(services().database, stop_requested)
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
@on_database()
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
        counts = ", ".join(f"{count:,} {status}" for status, count in sorted(attempts.items()))
        click.echo(f"{numbered:,} events numbered; attempts to deliver: {counts or 'none'}.")


@click.command("prune")
@click.option("--loop", is_flag=True, help="Go on until stopped, every hour.")
@as_json_option
@on_database()
def prune(loop: bool, as_json: bool) -> None:
    """Delete what is older than the settings keep: events, webhooks' logs, payments without effect, items' history,
    figures of sales.

    Nothing else does so. It works beside a running sale, in small transactions; any number may run. With --loop a turn
    that deleted nothing prints nothing, and one that failed a line on stderr.
    """
    from core.ops import retention

    def once() -> None:
        deleted = asdict(retention.prune(services().database, stop_requested))
        if as_json and (any(deleted.values()) or not loop):
            print_json({"deleted": deleted})
        elif any(deleted.values()) or not loop:
            click.echo("Deleted: " + ", ".join(f"{count:,} {kind}" for kind, count in deleted.items()) + ".")

    if loop:
        again_and_again(_PRUNE_SECONDS, once)
        return
    with errors_in_one_line():
        once()
