"""The public keys of an identity provider: a JSON Web Key Set (RFC 7517), as far as tokens may be verified by it."""

import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

MAX_BYTES = 256 * 1024
MAX_KEYS = 64
MAX_KID = 256  # characters
_RSA_BITS = range(2048, 4096 + 1)  # longer ones would take long to verify by
_MAX_EXPONENT_BITS = 32

# The one algorithm of a key, by its type and curve, and the members that make the public key. A token's own header
# never chooses: a key of one type is tried with no other algorithm.
_KINDS: Mapping[tuple[object, object], tuple[str, tuple[str, ...]]] = {
    ("RSA", None): ("RS256", ("kty", "n", "e")),
    ("EC", "P-256"): ("ES256", ("kty", "crv", "x", "y")),
    ("OKP", "Ed25519"): ("EdDSA", ("kty", "crv", "x")),
}
ALGORITHMS = tuple(algorithm for algorithm, _ in _KINDS.values())


class UnusableKeys(Exception):
    """The text is no key set by which a token could be verified; says why, in words of ours."""


class KeySet:
    """The usable keys of a set. Others are left out: of other algorithms, for encryption, weak, or private ones."""

    def __init__(self, keys: Mapping[tuple[str | None, str], tuple[str, jwt.PyJWK]]) -> None:
        """`keys` by `kid` and algorithm, each with a text that two equal keys have in common."""
        self._keys = dict(keys)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def algorithms(self) -> list[str]:
        """The algorithms of the keys."""
        return sorted({algorithm for _, algorithm in self._keys})

    def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key that a token names. A token that names none can only mean the one key of a set (OpenID Connect)."""
        if kid is not None:
            found = self._keys.get((kid, algorithm))
        else:
            found = next((key for (_, of), key in self._keys.items() if of == algorithm and len(self._keys) == 1), None)
        return found and found[1]

    def has_all_of(self, earlier: "KeySet") -> bool:
        """Whether each key of `earlier` is among these."""
        return all(
            name in self._keys and self._keys[name][0] == content
            for name, (content, _) in earlier._keys.items()  # noqa: SLF001 (of this class)
        )


NO_KEYS = KeySet({})


def read(text: bytes) -> KeySet:
    """The key set that `text` is. Raises UnusableKeys."""
    if len(text) > MAX_BYTES:
        raise UnusableKeys(f"it has more than {MAX_BYTES // 1024} KiB")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UnusableKeys("it is not JSON") from None
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise UnusableKeys("it is no JSON Web Key Set")
    if len(listed) > MAX_KEYS:
        raise UnusableKeys(f"it has more than {MAX_KEYS} keys")
    keys: dict[tuple[str | None, str], tuple[str, jwt.PyJWK]] = {}
    for stated in listed:
        usable = _usable(stated)
        if usable is not None:
            kid, content, key = usable
            keys.setdefault((kid, key.algorithm_name), (content, key))
    if not keys:
        raise UnusableKeys(f"it has no public key to verify {', '.join(ALGORITHMS)} by")
    return KeySet(keys)


def _usable(stated: object) -> tuple[str | None, str, jwt.PyJWK] | None:
    if not isinstance(stated, dict):
        return None
    kid = stated.get("kid")
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID):
        return None
    kty = stated.get("kty")
    kind = (kty, None if kty == "RSA" else stated.get("crv"))
    known = _KINDS.get(kind) if all(isinstance(part, str | None) for part in kind) else None
    # With its private part published, anybody signs by it.
    if known is None or "d" in stated or not _is_for_signatures(stated, known[0]):
        return None
    algorithm, members = known
    content: dict[str, Any] = {name: stated.get(name) for name in members}
    try:
        key = jwt.PyJWK(content, algorithm)
    except Exception:  # not only PyJWT's: the members can be of any type and size
        return None
    return (kid, json.dumps(content), key) if _is_strong(key) else None


def _is_for_signatures(stated: Mapping[str, object], algorithm: str) -> bool:
    uses = stated.get("key_ops", ["verify"])
    return (
        stated.get("use", "sig") == "sig"
        and stated.get("alg", algorithm) == algorithm
        and isinstance(uses, list)
        and "verify" in uses
    )


def _is_strong(key: jwt.PyJWK) -> bool:
    public = key.key
    if not isinstance(public, RSAPublicKey):
        return True
    exponent = public.public_numbers().e
    return public.key_size in _RSA_BITS and exponent > 1 and exponent.bit_length() <= _MAX_EXPONENT_BITS
