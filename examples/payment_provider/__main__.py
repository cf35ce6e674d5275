"""Tell a running service about a payment: `python -m examples.payment_provider --help`."""

import argparse
import os
import sys

from examples.payment_provider.provider import Event, NotLoopback, Provider, new_secret

SECRETS = "SECKILL_PAYMENT_WEBHOOK_SECRETS"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.payment_provider", description=__doc__)
    parser.add_argument("--new-secret", action="store_true", help="print a new key to sign with, and nothing else")
    parser.add_argument("--url", default="http://127.0.0.1:8000/payments/webhook", help="default: %(default)s")
    parser.add_argument("--secret", help=f"whsec_…; default: the first of {SECRETS}")
    parser.add_argument("--order", help="the number of the order that is paid")
    parser.add_argument("--amount", type=int, help="in the currency's minor unit")
    parser.add_argument("--currency", default="CNY", help="default: %(default)s")
    parser.add_argument("--payment-id", help="default: a new one")
    parser.add_argument(
        "--events",
        default="succeeded",
        help="what is told, in this order: of failed, succeeded, refunded; default: %(default)s",
    )
    parser.add_argument("--duplicates", type=int, default=1, help="copies of each event, sent at once; default: 1")
    parser.add_argument("--disorder", action="store_true", help="send all events at once, in an order drawn by lot")
    parser.add_argument(
        "--delay", type=float, default=0, help="seconds that each copy waits at most, by lot; default: 0"
    )
    parser.add_argument(
        "--retries", type=int, default=5, help="retries where none or a 5xx answered; default: %(default)s"
    )
    parser.add_argument("--any-host", action="store_true", help="allow an address that is not of this host")
    given = parser.parse_args()
    if not given.new_secret and (given.order is None or given.amount is None):
        parser.error("--order and --amount are needed")
    if given.duplicates < 1 or given.retries < 0 or given.delay < 0:
        parser.error("--duplicates is at least 1, --retries and --delay are not negative")
    return given


def main() -> int:
    """Returns 0 where every copy was taken, else 1."""
    given = _arguments()
    if given.new_secret:
        print(new_secret())
        return 0
    secret = given.secret or next(iter(os.environ.get(SECRETS, "").replace(",", " ").split()), None)
    if secret is None:
        print(f"Error: give --secret or set {SECRETS}", file=sys.stderr)
        return 1
    try:
        provider = Provider(given.url, secret, given.any_host)
    except NotLoopback as error:
        print(f"Error: {error} is not this host; --any-host allows it", file=sys.stderr)
        return 1
    more = {} if given.payment_id is None else {"payment_id": given.payment_id}
    first = Event("", given.order, given.amount, given.currency, **more)
    events = [
        Event(f"payment.{kind}", given.order, given.amount, given.currency, first.payment_id)
        for kind in given.events.split(",")
    ]
    sent = provider.send(events, given.duplicates, given.disorder, given.delay, given.retries)
    for delivery in sent:
        print(
            delivery.event.event_id, delivery.event.type, delivery.final.status, delivery.final.body.get("outcome", "")
        )
    return 0 if all(delivery.final.taken for delivery in sent) else 1


if __name__ == "__main__":
    sys.exit(main())
