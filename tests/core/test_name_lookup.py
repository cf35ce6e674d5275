"""Looking up names: whoever waits for the resolver waits a bounded time, and few threads wait for it."""

import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.name_lookup import NameLookup
from harness.eventually import eventually

PLENTY = 30.0  # seconds; none of the tests takes as long unless it fails


class Resolver:
    """Answers when it is let, and keeps the names that were looked up."""

    def __init__(self) -> None:
        self.queries: list[str] = []
        self.found: Sequence[str] = ["192.0.2.1", "2001:db8::1"]
        self.may_answer = threading.Event()

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.queries.append(host)
        self.may_answer.wait()
        return self.found


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver()
    yield made
    made.may_answer.set()


def test_the_system_knows_this_host() -> None:
    assert set(NameLookup().addresses("localhost", 80, PLENTY)) <= {"127.0.0.1", "::1"}


def test_a_name_without_an_address_is_an_error_of_its_own() -> None:
    def fails(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(socket.gaierror, match="try again"):
        NameLookup(fails).addresses("shop.example", 80, PLENTY)
    with pytest.raises(socket.gaierror, match="the name has no address"):
        NameLookup(lambda host, port: []).addresses("shop.example", 80, PLENTY)
    with pytest.raises(socket.gaierror, match="the name has no address"):
        NameLookup().addresses("shop..example", 80, PLENTY)


def test_an_address_is_looked_up_by_nobody(resolver: Resolver) -> None:
    for address in ("127.0.0.1", "::1", "fe80::1%eth0"):
        assert NameLookup(resolver).addresses(address, 80, 0) == [address]
    assert resolver.queries == []


def test_who_waits_for_a_silent_resolver_is_told_in_time(resolver: Resolver) -> None:
    with pytest.raises(TimeoutError, match=r"not resolved within 0\.05 s"):
        NameLookup(resolver).addresses("shop.example", 80, 0.05)
    assert not resolver.may_answer.is_set()


def test_who_asks_for_the_same_name_meanwhile_shares_the_thread_and_the_answer(resolver: Resolver) -> None:
    names = NameLookup(resolver)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(names.addresses, "shop.example", 80, PLENTY)
        assert eventually(lambda: resolver.queries)
        for _ in range(20):  # none of them begins another
            with pytest.raises(TimeoutError):
                names.addresses("shop.example", 80, 0)
        assert resolver.queries == ["shop.example"]
        others = [threads.submit(names.addresses, "shop.example", 80, PLENTY) for _ in range(7)]
        resolver.may_answer.set()
        assert first.result() == resolver.found
        assert all(other.result() == resolver.found for other in others)
    queries_before = len(resolver.queries)
    # What is known is not kept: a name may get another address at any time.
    resolver.found = ["192.0.2.2"]
    assert names.addresses("shop.example", 80, PLENTY) == ["192.0.2.2"]
    assert len(resolver.queries) == queries_before + 1


def test_no_more_names_are_looked_up_at_once_than_the_bound(resolver: Resolver) -> None:
    names = NameLookup(resolver, most=2)
    for host in ("one.example", "two.example"):
        with pytest.raises(TimeoutError, match="not resolved within"):
            names.addresses(host, 80, 0)
    with pytest.raises(TimeoutError, match="too many names are being looked up"):
        names.addresses("three.example", 80, PLENTY)
    resolver.may_answer.set()
    assert eventually(lambda: found(names, "three.example"))
    assert "three.example" in resolver.queries


def found(names: NameLookup, host: str) -> bool:
    try:
        return bool(names.addresses(host, 80, PLENTY))
    except TimeoutError:
        return False
