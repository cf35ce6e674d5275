"""Where webhooks may be sent: nowhere inside, whatever it is called."""

import socket
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from core.db.clock import Deadline, begin_request
from core.events import url_policy
from core.events.url_policy import Forbidden, Unresolved, addresses, check, is_private, parse
from core.name_lookup import NameLookup
from core.refusals import InvalidField

PRIVATE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.1.2.3"),
    *("169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1"),
    *("192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "ff0e::1", "4000::1"),
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.0.1", "172.32.0.1", "100.63.0.1", "223.255.255.254"]
PUBLIC += ["2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_of_the_public_internet_is_private(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_is_not(address: str) -> None:
    assert not is_private(address)


@pytest.mark.parametrize(
    "url",
    [
        *(f"https://[{address}]/" for address in PRIVATE if ":" in address and "%" not in address),
        *(f"https://{address}/" for address in PRIVATE if ":" not in address),
        "http://93.184.216.34/",
        "http://shop.example/",
        "https://localhost/",
        "https://LOCALHOST:8443/x",
        "https://localhost./",
        "https://a.localhost/",
        # Addresses as the system reads them, and others do not.
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://0/",
    ],
)
def test_a_target_inside_is_refused(url: str) -> None:
    with pytest.raises(InvalidField) as caught:
        check(url, private=False)
    assert caught.value.details["errors"] == [{"field": "url", "code": "forbidden_target"}]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "//shop.example/",
        "/hooks",
        "https://",
        "https:///x",
        "https://:443/",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "gopher://shop.example/",
        "javascript:alert(1)",
        "https://user@shop.example/",
        "https://user:secret@shop.example/",
        "https://@shop.example/",
        "https://shop.example:0/",
        "https://shop.example:65536/",
        "https://shop.example:x/",
        "https://shop.example/#part",
        "https://shop.example\\@127.0.0.1/",
        "https://shop.example/a b",
        "https://shop.example/\n",
        "https://shop.example/é",
        "https://bücher.example/",
        "https://[::1/",
        "https://[shop.example]/",
        "https://shop.example%00.evil/",
        "https://shop!.example/",
        f"https://shop.example/{'x' * 2000}",
    ],
)
@pytest.mark.parametrize("private", [False, True])
def test_what_is_no_plain_address_of_the_web_is_refused(url: str, private: bool) -> None:
    with pytest.raises(InvalidField) as caught:
        check(url, private)
    assert caught.value.details["errors"] == [{"field": "url", "code": "invalid_format"}]


def test_a_url_is_taken_apart_as_it_is_sent() -> None:
    assert parse("https://shop.example/a/b?c=d&e") == url_policy.ParsedUrl("https", "shop.example", 443, "/a/b?c=d&e")
    assert parse("HTTPS://Shop.Example") == url_policy.ParsedUrl("https", "shop.example", 443, "/")
    assert parse("http://[::1]:8080/") == url_policy.ParsedUrl("http", "::1", 8080, "/")


def test_with_leave_private_and_plain_targets_are_let_pass() -> None:
    for url in ("http://127.0.0.1:8000/x", "https://10.0.0.1/", "https://localhost/", "http://[::1]/"):
        check(url, private=True)


def names(*found: str) -> NameLookup:
    return NameLookup(lambda host, port: found)


HTTPS = parse("https://shop.example/")


def test_one_private_address_among_others_forbids_a_name() -> None:
    assert addresses(HTTPS, False, names("8.8.8.8", "1.1.1.1")) == ("8.8.8.8", "1.1.1.1")
    for found in (("10.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("::ffff:127.0.0.1",), ("8.8.8.8", "fe80::1%eth0")):
        with pytest.raises(Forbidden):
            addresses(HTTPS, False, names(*found))
        assert addresses(HTTPS, True, names(*found)) == found


def test_plain_http_is_forbidden_whatever_it_leads_to() -> None:
    with pytest.raises(Forbidden):
        addresses(parse("http://shop.example/"), False, names("8.8.8.8"))


def test_a_name_that_leads_nowhere_or_is_not_told_in_time_is_unresolved() -> None:
    let_go = threading.Event()

    def fails(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    def hangs(host: str, port: int) -> Sequence[str]:
        let_go.wait()
        return ["8.8.8.8"]

    for found in (NameLookup(fails), NameLookup(hangs), names()):
        with pytest.raises(Unresolved):
            addresses(HTTPS, False, found, seconds=0.1)
    let_go.set()


def test_a_subscription_s_name_may_lead_nowhere_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*found: str) -> None:
        answers: list[Any] = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in found]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)

    answer()
    check("https://shop.example/hooks", private=False)
    answer("10.0.0.1")
    with pytest.raises(InvalidField):
        check("https://shop.example/hooks", private=False)


def test_a_subscription_does_not_wait_for_dns_beyond_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def resolve(host: str, port: int, seconds: float) -> Sequence[str]:
        given.append(seconds)
        return ["8.8.8.8"]

    monkeypatch.setattr(url_policy.NAMES, "addresses", resolve)
    try:
        for left in (60.0, 0.0):
            begin_request(Deadline(left))
            check("https://shop.example/hooks", private=False)
    finally:
        begin_request(None)
    assert given == [2.0, 0.0]
