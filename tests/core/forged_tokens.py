"""Tokens that prove nothing, each wrong in one way."""

import base64
import json
import time

import jwt

HOUR = 3600
GOOD = '{"sub": "alice", "exp": 4102444800}'
HEADER = json.dumps({"alg": "HS256", "typ": "JWT"})


def signed(key: str, **claims: object) -> str:
    """A good token of alice's, but for `claims`."""
    return jwt.encode({"sub": "alice", "exp": int(time.time()) + HOUR, **claims}, key, algorithm="HS256")


def _without(key: str, claim: str) -> str:
    claims = {"sub": "alice", "exp": int(time.time()) + HOUR}
    del claims[claim]
    return jwt.encode(claims, key, algorithm="HS256")


def _raw(key: str, header: str, payload: str, algorithm: str = "HS256") -> str:
    """A token signed as it should be, over parts that no library would write."""
    return _signed_parts(key, _part(header), _part(payload), algorithm)


def _part(text: str, last_two: str = "-_") -> str:
    return base64.b64encode(text.encode(), last_two.encode()).rstrip(b"=").decode()


def _signed_parts(key: str, header: str, payload: str, algorithm: str = "HS256") -> str:
    parts = f"{header}.{payload}"
    signature = jwt.get_algorithm_by_name(algorithm).sign(parts.encode(), key.encode())
    return f"{parts}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def forged(key: str) -> dict[str, str]:
    """The tokens, by what is wrong with each; `key` is the one that a right token is signed with."""
    head, _, signature = signed(key).split(".")
    other_alphabet = _part('{"sub": "???>>>", "exp": 4102444800}', "+/")
    return {
        "nothing at all": "",
        "no token": "abc",
        "three dots": "...",
        "alg none": jwt.encode({"sub": "alice", "exp": int(time.time()) + HOUR}, "", algorithm="none"),
        "alg None": _raw(key, '{"alg": "None"}', GOOD),
        "HS384": _raw(key, '{"alg": "HS384"}', GOOD, "HS384"),
        "HS512": _raw(key, '{"alg": "HS512"}', GOOD, "HS512"),
        "a wrong key": signed("another-key-of-the-tests-with-over-32-bytes"),
        "no exp": _without(key, "exp"),
        "no sub": _without(key, "sub"),
        "expired": signed(key, exp=int(time.time()) - 1),
        "expired long ago": signed(key, exp=0),
        "exp true": signed(key, exp=True),
        "exp text": signed(key, exp="4102444800"),
        "exp null": _raw(key, HEADER, '{"sub": "alice", "exp": null}'),
        "exp infinite": _raw(key, HEADER, '{"sub": "alice", "exp": 1e999}'),
        "exp NaN": _raw(key, HEADER, '{"sub": "alice", "exp": NaN}'),
        "not yet valid": signed(key, nbf=int(time.time()) + HOUR),
        "a numeric sub": _raw(key, HEADER, '{"sub": 7, "exp": 4102444800}'),
        "an empty sub": signed(key, sub=""),
        "a sub of null": _raw(key, HEADER, '{"sub": null, "exp": 4102444800}'),
        "a sub of a list": _raw(key, HEADER, '{"sub": ["alice"], "exp": 4102444800}'),
        "an over-long sub": signed(key, sub="x" * 65),
        "a sub with a NUL": signed(key, sub="ali\0ce"),
        "a sub with a lone surrogate": _raw(key, HEADER, '{"sub": "\\ud800", "exp": 4102444800}'),
        "a scope of a list": signed(key, scope=["admin"]),
        "a payload that is a list": _raw(key, HEADER, "[]"),
        "nested brackets": _raw(key, HEADER, "[" * 10_000),
        "a nested header": _raw(key, "[" * 10_000, "{}"),
        "an over-long token": signed(key, more="x" * 5000),
        "a critical extension": _raw(key, '{"alg": "HS256", "crit": ["b64"], "b64": false}', GOOD),
        "not ASCII": "é.é.é",
        "padding in the payload": _signed_parts(key, _part(HEADER), _part(GOOD) + "=="),
        "a payload of the other alphabet": _signed_parts(key, _part(HEADER), other_alphabet),
        "a newline in the payload": _signed_parts(key, _part(HEADER), _part(GOOD) + "\n"),
        "a blank in the payload": _signed_parts(key, _part(HEADER), _part(GOOD)[:4] + " " + _part(GOOD)[4:]),
        "four parts": _signed_parts(key, _part(HEADER), _part(GOOD) + "."),
        "a changed payload": f"{head}.{signed(key, sub='mallory').split('.')[1]}.{signature}",
    }
