"""The result of one check of an installation."""

from dataclasses import dataclass
from enum import StrEnum

from core.db.tls import Protection


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """The result of one check. `mend` says what to do; it is empty if nothing is."""

    name: str
    state: State
    found: str
    mend: str = ""


def judge(name: str, good: bool, found: str, mend: str, otherwise: State = State.PROBLEM) -> Finding:
    """OK with `found`, or `otherwise` with `mend`."""
    return Finding(name, State.OK, found) if good else Finding(name, otherwise, found, mend)


def judge_protection(guard: Protection, plugin: str) -> Finding:
    """The finding about the protection of a connection whose user logged in by `plugin`."""
    verify = "add ssl_ca=<the server's ca.pem>&ssl_verify_cert=true to the address: docs/operations.md"
    if guard.cipher:
        host = "its host name too" if guard.host_verified else "its host name not"
        found = f"{guard.cipher}, the server's certificate {f'verified, {host}' if guard.verified else 'not verified'}"
    else:
        found = "no TLS" + (
            ", but on this host" if guard.local else ": whoever sits in between reads and changes everything"
        )
        verify = f"switch TLS on in the server, take ssl_disabled out of the address, and {verify}"
        if plugin == "caching_sha2_password":
            verify += "; without TLS no login works after a restart of the server"
    good = guard.local or guard.verified
    return judge("connection", good, f"{found}; login by {plugin}", verify, State.WARNING)
