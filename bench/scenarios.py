"""What is measured. Each scenario is a list of trials whose figures are compared with each other, within a round."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.measure import Run
from bench.neighbours import flooded, servers, slow_clients, watched
from bench.ours import DEFAULTS, SHIPPED, WITH_COUPON, Setup
from bench.stage import Stage
from bench.trial import CONNECTIONS, Trial, purchases
from bench.wrk import Load
from harness.receiver import receiving

SELLERS = ("ours", "textbook", "conditional", "fastapi_redis")
PEERS = (*SELLERS, "nothing", "nothing_by_wsgi", "bare")
SWEEP = (1, 4, 16, 64, 128, 256, 512, 1024)
OVERLOADS = (2, 5)
# Connections of which the best is taken for each contender on the hot item.
CANDIDATES = (64, 128)
OVERLOAD_CONNECTIONS = 1024
SETTINGS_CONNECTIONS = 256
BURST_BUYERS, BURST_UNITS, BURST_CONNECTIONS = 10_000, 100, 256
# Seconds after which whoever is not answered is given up.
BURST_SECONDS = 60
# It locks for each buyer, sold out or not: ten thousand take it half a minute.
BURST_ONCE = ("textbook",)
WINNERS = 32
SMALL_TABLE = 10**4


def hot_item() -> list[Trial]:
    """Everybody wants the same item."""
    return [
        purchases("hot_item", name, name, Load(), lambda stage, name=name: stage.connections.get(name, CONNECTIONS))  # type: ignore[misc]
        for name in PEERS
    ]


def items() -> list[Trial]:
    """Ours: the same load over more items."""
    spreads = {
        "1 item": Load(),
        "8 items": Load(items=8, spread="even"),
        "100 items": Load(items=100, spread="even"),
        "1,000 items": Load(items=1000, spread="even"),
        "1,000 items, zipf": Load(items=1000, spread="zipf"),
    }
    return [
        purchases("items", name, "ours", load, lambda stage: stage.connections.get("ours", CONNECTIONS))
        for name, load in spreads.items()
    ]


def choices() -> list[Trial]:
    """Ours: what shipping, a coupon and another type cost, on one hot item; all buyers with the same coupon."""

    def of(name: str, body: dict[str, Any], shippable: bool = False, media: str = Load.type) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours()
            first = ours.put_up(shippable=shippable)
            ours.offer()
            connections = stage.connections.get("ours", CONNECTIONS)
            load = Load(
                first=first, body=json.dumps(body), type=media, connections=connections, seconds=stage.options.seconds
            )
            stage.warm_up(ours, load)
            return stage.measure(ours, load, ("choices", name, number))

        return Trial("choices", name, measure)

    return [
        of("plain", {"quantity": 1}),
        of("charset", {"quantity": 1}, media="application/json; charset=utf-8"),
        of("shipping", SHIPPED, shippable=True),
        of("coupon", WITH_COUPON),
        of("both", SHIPPED | WITH_COUPON, shippable=True),
    ]


def sold_out() -> list[Trial]:
    """Ours, when nothing is left: those who come without a key, with a new one each, and winners who try again."""

    def after(name: str, load: Load, refused: bool) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours()
            goods_id = ours.put_up(stock=WINNERS)
            ours.sell_out(goods_id, WINNERS)
            wanted = replace(load, first=goods_id, seconds=stage.options.seconds)
            stage.warm_up(ours, wanted)
            return stage.measure(ours, wanted, ("sold_out", name, number), refused)

        return Trial("sold_out", name, measure)

    return [
        purchases("sold_out", "bare", "bare", Load(key="none")),
        after("no key", Load(key="none"), True),
        after("new key", Load(key="new"), True),
        after("winner's key", Load(key="won", users=WINNERS), False),
    ]


def reads() -> list[Trial]:
    """Ours: looks at the sale, live."""

    def looks(name: str, conditional: bool) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours()
            goods_id = ours.put_up()
            header = f"If-None-Match: {ours.etag(goods_id)}" if conditional else ""
            load = Load(first=goods_id, method="GET", header=header, seconds=stage.options.seconds)
            stage.warm_up(ours, load)
            return stage.measure(ours, load, ("reads", name, number))

        return Trial("reads", name, measure)

    return [
        purchases("reads", "bare", "bare", Load(method="GET")),
        looks("live", False),
        looks("not modified", True),
    ]


def burst() -> list[Trial]:
    """Ten thousand buyers at once, each with one request, for a hundred units."""

    def of(name: str) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            seller = stage.contender(name)
            stage.warm_up(seller, Load(first=seller.put_up(), connections=BURST_CONNECTIONS))
            load = Load(
                first=seller.put_up(stock=BURST_UNITS),
                kind="burst",
                connections=BURST_CONNECTIONS,
                total=BURST_BUYERS,
                seconds=BURST_SECONDS,
                tokens=stage.tokens_of_strangers(BURST_BUYERS),
            )
            return exact(stage.measure(seller, load, ("burst", name, number)))

        return Trial("burst", name, measure, once=name in BURST_ONCE)

    return [of("ours"), of("fastapi_redis"), of("textbook")]


def exact(run: Run) -> Run:
    """A burst sells all there is, unless somebody had no answer."""
    if run.accepted == BURST_UNITS or run.unanswered:
        return run
    problem = f"{run.accepted} of {BURST_UNITS} units were sold to {BURST_BUYERS} buyers"
    return replace(run, problems=(*run.problems, problem))


def alone() -> list[Trial]:
    """One buyer after the other, over one connection."""
    load = Load(connections=1)
    return [purchases("alone", name, name, load) for name in ("ours", "textbook")]


def sweep() -> list[Trial]:
    """Ours: from one connection to a thousand."""
    return [purchases("sweep", str(count), "ours", Load(connections=count, timed=True)) for count in SWEEP]


def overload() -> list[Trial]:
    """Ours: more buyers a second than it can serve, whether or not they have answers."""

    def times(factor: int) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours()
            rate = factor * peak(stage, number)  # ahead of the item: a run that looks for it puts up another
            load = Load(
                first=ours.put_up(),
                kind="open",
                connections=OVERLOAD_CONNECTIONS,
                rate=rate,
                seconds=stage.options.seconds,
            )
            stage.warm_up(ours, load)
            return stage.measure(ours, load, ("overload", f"{factor} × peak", number))

        return Trial("overload", f"{factor} × peak", measure)

    return [times(factor) for factor in OVERLOADS]


def peak(stage: Stage, number: int) -> float:
    """The most purchases a second that this round's sweep has seen; without a sweep, those of one run for it."""
    rates = [run.per_second for run in stage.runs if run.scenario == "sweep" and run.round == number]
    if not rates:
        run = sweep()[SWEEP.index(128)].measure(stage, number)
        stage.runs.append(run)
        rates.append(run.per_second)
    return max(rates)


def orders() -> list[Trial]:
    """Ours: one hot item, with few and with many orders of others in the table."""

    def among(name: str, contender: str, count: Callable[[Stage], int]) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours(contender)
            ours.keep_orders(count(stage))
            load = Load(first=ours.put_up(), seconds=stage.options.seconds)
            stage.warm_up(ours, load)
            return stage.measure(ours, load, ("orders", name, number))

        return Trial("orders", name, measure)

    return [
        among("few", "ours_few", lambda stage: SMALL_TABLE),
        among("many", "ours_many", lambda stage: stage.options.orders),
    ]


def generator() -> list[Trial]:
    """What it costs the generator to look at every answer, on the fastest contender."""
    return [
        purchases("generator", "counting", "bare", Load()),
        purchases("generator", "looking", "bare", Load(timed=True)),
    ]


def settings() -> list[Trial]:
    """Ours under other settings of speed, one changed at a time, on one hot item and more buyers than threads."""

    def under(name: str, setup: Setup) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours(f"ours_{setup.workers}_{setup.batch_max}", setup)
            load = Load(
                first=ours.put_up(), connections=SETTINGS_CONNECTIONS, timed=True, seconds=stage.options.seconds
            )
            stage.warm_up(ours, load)
            return stage.measure(ours, load, ("settings", name, number))

        return Trial("settings", name, measure)

    return [
        under("defaults", DEFAULTS),
        *(under(f"WORKERS={count}", Setup(workers=count)) for count in (1, 3, 4)),
        *(under(f"BATCH_MAX={count}", Setup(batch_max=count)) for count in (1, 8, 16, 32, 128)),
    ]


def limits() -> list[Trial]:
    """Ours without limits on callers, and with some that nobody meets, counted in memory and in Redis: purchases."""
    return _limits("limits", "POST")


def limits_reads() -> list[Trial]:
    """The same for looks at the sale, which cost less themselves."""
    return _limits("limits_reads", "GET")


def _limits(scenario: str, method: str) -> list[Trial]:
    def counted(name: str, where: Callable[[Stage], str | None]) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours(f"ours_limits_{name}", Setup(limits=where(stage)))
            load = Load(first=ours.put_up(), method=method, seconds=stage.options.seconds)
            stage.warm_up(ours, load)
            return stage.measure(ours, load, (scenario, name, number))

        return Trial(scenario, name, measure)

    return [
        counted("off", lambda stage: None),
        counted("memory", lambda stage: "memory://"),
        counted("redis", lambda stage: f"redis://127.0.0.1:{stage.start_redis().port}"),
    ]


def events() -> list[Trial]:
    """Ours without publishers, with them, and with a subscriber on this host, on one hot item."""

    def published(name: str, setup: Setup, subscribed: bool = False) -> Trial:
        def measure(stage: Stage, number: int) -> Run:
            ours = stage.ours(f"ours_publisher_{setup.publisher}", setup)
            connections = stage.connections.get("ours", CONNECTIONS)
            load = Load(first=ours.put_up(), connections=connections, seconds=stage.options.seconds)
            with receiving() as receiver:
                if subscribed:
                    ours.subscribe(receiver.url)
                stage.warm_up(ours, load)
                return stage.measure(ours, load, ("events", name, number))

        return Trial("events", name, measure)

    return [
        published("off", Setup(publisher=False)),
        published("on", DEFAULTS),
        published("subscribed", DEFAULTS, subscribed=True),
    ]


SCENARIOS: dict[str, Callable[[], list[Trial]]] = {
    scenario.__name__: scenario
    for scenario in (
        hot_item,
        items,
        choices,
        sold_out,
        reads,
        burst,
        alone,
        sweep,
        overload,
        flooded,
        slow_clients,
        watched,
        servers,
        generator,
        settings,
        limits,
        limits_reads,
        events,
        orders,
    )
}
# Played only when named: they are for those who choose the defaults.
ON_REQUEST = ("settings", "limits", "limits_reads", "events")
QUICK = ("hot_item", "sold_out", "reads", "sweep", "overload")
