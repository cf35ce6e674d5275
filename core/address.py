"""What may be named where a setting takes an address or a path."""

from urllib.parse import urlsplit

MAX_ADDRESS = 2000
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def fault(source: str, plain: bool = False) -> str | None:
    """Why `source` is no address or path to use; None if it may be. A path is not looked at.

    Plain HTTP beyond this host is a fault, unless it may be `plain`.
    """
    if "://" not in source:
        return None if source.strip() and "\0" not in source else "it is an address or a path"
    try:
        parts = urlsplit(source)
        host, _ = parts.hostname, parts.port  # raises ValueError for a port that is none
    except ValueError:
        return "it is not an address"
    if parts.scheme not in ("https", "http") or not host or len(source) > MAX_ADDRESS:
        return f"it is an {'http:// or ' if plain else ''}https:// address or a path"
    if not source.isascii() or not source.isprintable() or " " in source or "#" in source or "@" in parts.netloc:
        return "it has a character that such an address cannot have, or credentials"
    if parts.scheme == "http" and host not in LOOPBACK and not plain:
        return "plain http:// is for this host alone: whoever is in between could read and change it"
    return None
