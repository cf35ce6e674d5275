"""Who calls: no header that the caller can write makes them somebody else."""

import logging

import pytest

from core.tokens import Tokens
from harness.service import SECRET
from resources.http import callers
from resources.http.callers import address, identity

PEER = "10.0.0.7"


def seen(proxies: int, forwarded: str | None = None, peer: str = PEER) -> str:
    environ = {"REMOTE_ADDR": peer}
    return address(environ if forwarded is None else environ | {"HTTP_X_FORWARDED_FOR": forwarded}, proxies)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, None, PEER),
        (0, "1.1.1.1", PEER),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (1, '"6.6.6.6, 1.1.1.1', "1.1.1.1"),  # a quote that the caller opens does not swallow what the proxy adds
        (2, "6.6.6.6, 1.1.1.1, 2.2.2.2", "1.1.1.1"),
        (2, "1.1.1.1", PEER),  # past one of the proxies
        (1, "", PEER),
        (1, "unknown", PEER),
        (1, "6.6.6.6, ", PEER),
        (1, "1.1.1.1:4711", "1.1.1.1"),
        (1, "[2001:db8::1]:4711", "2001:db8::/64"),
        (1, "[2001:db8::1]", "2001:db8::/64"),
        (1, "1" * 9000, PEER),
        (10, ",".join(f"1.1.1.{number}" for number in range(12)), "1.1.1.2"),
    ],
)
def test_the_address_is_the_one_that_so_many_proxies_state(proxies: int, forwarded: str | None, expected: str) -> None:
    assert seen(proxies, forwarded) == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::ffff:102:305", "1.2.3.5"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_household_of_ipv6_counts_as_one_and_ipv4_as_itself(peer: str, expected: str) -> None:
    assert seen(0, peer=peer) == expected


def test_a_proxy_that_was_not_stated_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    callers.warn_of_proxies.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            seen(0, "1.1.1.1")
    assert ["PROXIES is 0" in record.getMessage() for record in caplog.records] == [True]
    assert "1.1.1.1" not in caplog.text


def test_only_a_token_that_holds_names_a_user() -> None:
    tokens = Tokens(SECRET)
    for scheme in ("Bearer", "bearer"):
        found = identity({"HTTP_AUTHORIZATION": f"{scheme} {tokens.issue('alice')}"}, tokens)
        assert found is not None
        assert found.user_id == "alice"
    forged = Tokens("k" * 40).issue("alice")
    for header in ("", "Bearer", f"Bearer {forged}", f"Basic {tokens.issue('alice')}"):
        assert identity({"HTTP_AUTHORIZATION": header}, tokens) is None
    assert identity({}, tokens) is None
