"""Examines the identity provider: whether its keys can be read, and what they are good for."""

from config import PREFIX, Settings
from core.identity import key_set, key_source
from core.identity.key_set import UnusableKeys
from core.identity.key_source import Unreadable
from core.ops.finding import Finding, State


def examine(settings: Settings) -> Finding:
    """Reads the keys once, as the workers do."""
    if not settings.IDENTITY_JWKS:
        return Finding("identity", State.OK, "tokens under SECRET_KEY alone")
    try:
        keys = key_set.read(key_source.read(settings.IDENTITY_JWKS))
    except (Unreadable, UnusableKeys) as error:
        return Finding(
            "identity",
            State.PROBLEM,
            f"the identity provider's keys cannot be read: {error}",
            f"check {PREFIX}IDENTITY_JWKS: docs/identity.md",
        )
    tokens = "its tokens alone" if settings.IDENTITY_ONLY else "beside tokens under SECRET_KEY"
    administrators = "some administrators" if settings.IDENTITY_ADMIN_CLAIM else "no administrators"
    found = f"{len(keys)} keys for {', '.join(keys.algorithms)}; {tokens}, with {administrators}"
    return Finding("identity", State.OK, found)
