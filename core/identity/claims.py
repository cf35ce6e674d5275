"""Reads the claims of a token that settings name: at the top, or within objects."""

from collections.abc import Callable, Mapping

Claims = Mapping[str, object]


def reader(name: str) -> Callable[[Claims], object]:
    """A function that returns the claim `name` of a token, None where it is not there.

    A claim of that whole name counts first, such as `https://shop.example/roles`; else each dot leads into an object,
    as in `realm_access.roles`.
    """
    path = name.split(".")

    def read(claims: Claims) -> object:
        if name in claims:
            return claims[name]
        found: object = claims
        for part in path:
            if not isinstance(found, dict):
                return None
            found = found.get(part)
        return found

    return read


def names(claim: object, value: str) -> bool:
    """Whether `claim` is `value`, or lists it: as words with blanks between them, or as a list of strings."""
    if isinstance(claim, str):
        return claim == value or value in claim.split(" ")
    return isinstance(claim, list) and value in claim
