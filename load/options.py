"""The settings of `make load`, within bounds: for trials of a service on this very host, never of somebody else's."""

import argparse
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_USERS = 2000
MAX_SPAWN = 500
MAX_SECONDS = 600
MAX_STOCK = 1_000_000
MAX_ARRIVALS = 5000  # a second
MAX_BUYERS = 600_000  # of a run that goes by arrivals


@dataclass(frozen=True)
class Options:
    """`url` of the service; `users` at once, `spawn` of them a second, for `seconds`; `stock` of the item on sale."""

    url: str
    users: int
    spawn: int
    seconds: int
    stock: int
    headless: bool
    web_port: int
    arrivals: float = 0  # buyers a second, whatever the answers take; 0: `users` who wait for each answer

    def as_environment(self) -> dict[str, str]:
        """The same options for `parse` in another process."""
        return {
            "HOST": self.url,
            "USERS": str(self.users),
            "SPAWN": str(self.spawn),
            "SECONDS": str(self.seconds),
            "STOCK": str(self.stock),
            "HEADLESS": "1" if self.headless else "",
            "WEB_PORT": str(self.web_port),
            "ARRIVALS": f"{self.arrivals:g}" if self.arrivals else "",
        }


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """The options in `arguments`, else in `environment`. Ends the program with a clear line where one is wrong."""

    def default(name: str, otherwise: object) -> str:
        return environment.get(name) or str(otherwise)

    parser = argparse.ArgumentParser(
        prog="python -m load",
        description="Let people watch a sale and buy, on a service of this host.",
        epilog="In the environment: HOST, PORT, USERS, SPAWN, SECONDS, STOCK, HEADLESS, WEB_PORT and ARRIVALS.",
    )
    add = parser.add_argument
    add(
        "--host",
        dest="url",
        default=default("HOST", "127.0.0.1"),
        metavar="HOST",
        help="where the service is: an address of this host, or its http:// URL (default %(default)s)",
    )
    add(
        "--port",
        type=_up_to(65535),
        default=default("PORT", 8000),
        help="its port, where HOST has none (default %(default)s)",
    )
    add("--users", type=_up_to(MAX_USERS), default=default("USERS", 200), help="people at once (default %(default)s)")
    add("--spawn", type=_up_to(MAX_SPAWN), default=default("SPAWN", 50), help="who come in a second (%(default)s)")
    add("--seconds", type=_up_to(MAX_SECONDS), default=default("SECONDS", 60), help="how long (%(default)s)")
    add("--stock", type=_up_to(MAX_STOCK), default=default("STOCK", 1000), help="units on sale (%(default)s)")
    add("--web-port", type=_up_to(65535), default=default("WEB_PORT", 8089), help="of the web page (%(default)s)")
    add(
        "--headless",
        action="store_true",
        default=environment.get("HEADLESS", "") not in ("", "0"),
        help="start at once, without the web page",
    )
    add(
        "--arrivals",
        type=_rate,
        default=default("ARRIVALS", ""),
        metavar="N/s",
        help="buyers a second who come whatever the answers take, instead of --users who wait for them",
    )
    values = vars(parser.parse_args(arguments))
    try:
        values["url"] = require_loopback(_url(values["url"], values.pop("port")))
    except ValueError as error:
        parser.error(str(error))
    given = Options(**values)
    if given.arrivals * given.seconds > MAX_BUYERS:
        parser.error(f"{given.arrivals:g} a second for {given.seconds} s are more than {MAX_BUYERS} buyers")
    return given


def _url(host: str, port: int) -> str:
    """What `make run` calls HOST and PORT, as a URL; a HOST that is one already, or names a port, stays as it is."""
    if "://" in host:
        return host
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # IPv6
    return f"http://{host}" if re.search(r":\d+$", host) else f"http://{host}:{port}"


def require_loopback(url: str) -> str:
    """`url` without a slash at its end. Raises ValueError unless it is plain HTTP to this very host.

    Names are not looked up: what they mean can change, `localhost` alone is taken at its word.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    bare = parts.scheme == "http" and parts.path in ("", "/") and not parts.query and not parts.username
    if not bare or not _is_this_host(host):
        raise ValueError(f"{url!r} is not of this host: only http://127.0.0.1:<port>, [::1] or localhost is loaded")
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{port or 80}"


def _is_this_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _rate(text: str) -> float:
    if not text:
        return 0
    number = text.removesuffix("/s")
    if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", number, re.ASCII) or not 0.1 <= float(number) <= MAX_ARRIVALS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate from 0.1/s to {MAX_ARRIVALS}/s")
    return float(number)


def _up_to(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
        return int(text)

    return number
