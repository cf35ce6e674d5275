"""Looks up the addresses of hosts within a stated time.

The system's resolver takes no time-out of its caller. While DNS is silent, it gives up after half a minute.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from core import threads

# The addresses of a host, the preferred first. Raises OSError, or UnicodeError for what is no name.
Resolver = Callable[[str, int], Sequence[str]]

# The most names that are looked up at once. Each takes a thread until the resolver answers.
_MOST = 100


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses that the system knows (`Resolver`)."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class NameLookup:
    """Looks up names, each in a thread of its own. Calls for one host and port at the same time share a thread.

    Each kind of work has a lookup of its own: names that hang for one must not use up the threads of another.
    """

    def __init__(self, resolver: Resolver = system_resolver, most: int = _MOST) -> None:
        """At most `most` names are looked up at once."""
        self._resolver = resolver
        self._most = most
        self._under_way: dict[tuple[str, int], Future[Sequence[str]]] = {}
        self._lock = threading.Lock()

    def addresses(self, host: str, port: int, seconds: float) -> Sequence[str]:
        """The addresses of a host, the preferred first; one at least.

        Raises TimeoutError if the resolver does not answer in so many seconds, or if too many names are being looked up
        already; another OSError if the host has no address.
        """
        if _is_address(host):
            return [host]
        name = host, port
        with self._lock:
            found = self._under_way.get(name)
            if found is None:
                if len(self._under_way) >= self._most:
                    raise TimeoutError("too many names are being looked up")
                found = self._begun(name)
        try:
            return found.result(seconds)
        except TimeoutError:
            raise TimeoutError(f"the name was not resolved within {seconds:g} s") from None

    def _begun(self, name: tuple[str, int]) -> "Future[Sequence[str]]":
        """Have a thread look a name up. Needs the lock."""
        found: Future[Sequence[str]] = Future()
        if threads.start("resolve", self._look_up, name, found) is None:
            raise OSError("no thread can be started")
        self._under_way[name] = found
        return found

    def _look_up(self, name: tuple[str, int], found: "Future[Sequence[str]]") -> None:
        addresses: Sequence[str] = ()
        failure: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
        try:
            addresses = self._resolver(*name)
        except OSError as error:
            failure = error
        except Exception as error:  # such as UnicodeError, for a label of no or of too many characters
            failure.__cause__ = error
        with self._lock:
            del self._under_way[name]  # a call from here on wants a new answer
        if addresses:
            found.set_result(addresses)
        else:
            found.set_exception(failure)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
