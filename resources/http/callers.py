"""Who calls, as far as a request shows: the user whose token it bears, and the address it comes from."""

import ipaddress
import logging
import re
from functools import lru_cache
from wsgiref.types import WSGIEnvironment

from core.tokens import Identity, InvalidToken, Tokens

# What stands behind an address that some proxies add: its port.
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)
_LONGEST = 64  # characters of an address
_IPV6_PREFIX = 64  # bits: what one household or one machine is given

log = logging.getLogger("seckill.callers")


def identity(environ: WSGIEnvironment, tokens: Tokens) -> Identity | None:
    """The caller whose token is valid, if there is one."""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    try:
        return tokens.verify(token.strip())
    except InvalidToken:
        return None


def address(environ: WSGIEnvironment, proxies: int) -> str:
    """The address that counts as one caller: an IPv4 address, or the /64 that an IPv6 address lies in.

    Behind `proxies` of ours each adds whom it serves to the right of `X-Forwarded-For`: so many from the right, the
    outermost of them names the caller. What stands further left the caller may have written.
    """
    peer = environ.get("REMOTE_ADDR") or ""
    if proxies:
        stated = environ.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", proxies)
        if len(stated) >= proxies:
            found = _network(stated[-proxies].strip()[:_LONGEST])
            if found is not None:
                return found
    elif "HTTP_X_FORWARDED_FOR" in environ:
        warn_of_proxies()
    return _network(peer[:_LONGEST]) or peer[:_LONGEST]


@lru_cache(maxsize=10_000)  # to parse one takes as long as to count it
def _network(text: str) -> str | None:
    """What counts as one caller at the address `text`; None for what is no address."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        found = ipaddress.ip_address((with_port[1] or with_port[2]) if with_port else text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _IPV6_PREFIX), strict=False))


@lru_cache(maxsize=1)  # once: anybody can send the header
def warn_of_proxies() -> None:
    """Log, once in a process, that proxies seem to be there that PROXIES does not count."""
    log.warning("requests bear X-Forwarded-For, but PROXIES is 0: behind a proxy all callers would count as one")
