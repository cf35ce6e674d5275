"""The policy for webhook URLs: https, to addresses of the public internet.

A name is resolved once for each delivery; the addresses of that answer are checked, and the connection goes to one of
them. So a name that changes its address after the check (DNS rebinding) gains nothing.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.db.clock import deadline_of_request
from core.name_lookup import NameLookup
from core.refusals import InvalidField

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2000
RESOLVE_SECONDS = 5.0
# A subscription's creation waits for DNS no longer than this: every delivery resolves the name again.
_LOOK_SECONDS = 2.0
NAMES = NameLookup()
_PORTS = {"https": 443, "http": 80}
_VISIBLE = re.compile(r"[!-~]+")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")
_HERE = re.compile(r"(.*\.)?localhost\.?", re.IGNORECASE)
_PUBLIC_6 = ipaddress.ip_network("2000::/3")
# Public by their numbers, but relays (6to4, Teredo) route them to any IPv4 address.
_RELAYS = (
    ipaddress.ip_network("2002::/16"),
    ipaddress.ip_network("2001::/32"),
    ipaddress.ip_network("192.88.99.0/24"),
)


class Forbidden(Exception):
    """The address is not one of the public internet."""


class Unresolved(Exception):
    """The name has no address, or DNS did not answer in time."""


@dataclass(frozen=True)
class ParsedUrl:
    """The parts of a webhook's URL. `host` is a name or an address without brackets, `path` includes the query."""

    scheme: str
    host: str
    port: int
    path: str


def parse(url: str) -> ParsedUrl:
    """Parse a URL. Raises ValueError for one that is not http(s), or that has credentials or a fragment."""
    if len(url) > MAX_URL or not _VISIBLE.fullmatch(url) or "\\" in url or "#" in url:
        raise ValueError("no URL")
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port  # raises ValueError for a port that is none
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc or port == 0:
        raise ValueError("no URL of the web")
    if ":" in host:
        ipaddress.IPv6Address(host)
    elif not _HOST.fullmatch(host):
        raise ValueError("no host")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return ParsedUrl(parts.scheme, host, port or _PORTS[parts.scheme], path)


def check(url: str, private: bool) -> None:
    """Raise InvalidField for a URL that the policy forbids. `private` allows private addresses and plain http.

    A name that cannot be resolved now passes: each delivery resolves and checks it again.
    """
    try:
        target = parse(url)
    except ValueError:
        raise InvalidField("url", "invalid_format") from None
    if private:
        return
    if target.scheme != "https" or _HERE.fullmatch(target.host):
        raise InvalidField("url", "forbidden_target")
    try:
        addresses(target, private, seconds=min(_LOOK_SECONDS, deadline_of_request(_LOOK_SECONDS).remaining()))
    except Forbidden:
        raise InvalidField("url", "forbidden_target") from None
    except Unresolved:
        return


def addresses(
    target: ParsedUrl, private: bool, names: NameLookup = NAMES, seconds: float = RESOLVE_SECONDS
) -> Sequence[str]:
    """The addresses to connect to, the preferred first. Raises Forbidden if any of them is forbidden, or Unresolved."""
    if not private and target.scheme != "https":
        raise Forbidden
    try:
        # The system also takes `127.1` and `0x7f000001` for addresses, so only its own answer can be judged.
        found = names.addresses(target.host, target.port, seconds)
    except OSError:
        raise Unresolved from None
    if not private and any(is_private(address) for address in found):
        raise Forbidden
    return found


def is_private(written: str) -> bool:
    """Whether an address is not one of the public internet: private, loopback, link-local, multicast, reserved…"""
    address: Address = ipaddress.ip_address(written.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_private(str(address.ipv4_mapped))
        if address not in _PUBLIC_6:
            return True
    if any(address.version == relay.version and address in relay for relay in _RELAYS):
        return True
    return not address.is_global or address.is_multicast or address.is_reserved
