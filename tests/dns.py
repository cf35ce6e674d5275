"""A resolver of names that tests let fall silent."""

import socket
import threading
from typing import Any

import pytest

from harness.eventually import eventually


class Dns:
    """The system's resolver. Names that end with `.example` are looked up nowhere: they have no address."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queries: list[str] = []
        self.waiting = 0  # look-ups that wait while it is silent
        self._getaddrinfo = socket.getaddrinfo
        self._silent: tuple[str, ...] = ()
        self._speaks = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def fall_silent(self, *ends: str) -> None:
        """Answer nobody who asks for a name that ends so."""
        self._speaks.clear()
        self._silent = ends

    def speak(self) -> None:
        """Answer everybody again, and wait until all who wait are answered."""
        self._silent = ()
        self._speaks.set()
        assert eventually(lambda: not self.waiting)

    def _answer(self, host: Any, *rest: Any, **named: Any) -> Any:
        name = str(host)
        self.queries.append(name)
        if name.endswith(self._silent):
            self.waiting += 1
            self._speaks.wait()
            self.waiting -= 1
        if name.endswith(".example"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self._getaddrinfo(host, *rest, **named)
