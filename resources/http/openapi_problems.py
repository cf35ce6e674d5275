"""The error answers in the OpenAPI description: which codes an operation may answer with, by status, with examples."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from core import refusals as codes
from resources import schemas
from resources.http import problems
from resources.http.auth import Access
from resources.http.operation import Operation
from resources.http.problems import PROBLEMS
from resources.http.reasons import REASONS, detail

_MEMBER_EXAMPLES: Mapping[str, Any] = {
    "starts_at": "2026-11-23T12:00:00.000Z",
    "available": 1,
    "oldest": 42,
    "limit": 2,
    "already_bought": 2,
    "order_status": "cancelled",
    "resolution": "refunded",
    "quote": schemas.QUOTE_EXAMPLE,
    "errors": [{"field": "quantity", "code": "out_of_range", "detail": problems.FIELD_PROBLEMS["out_of_range"].en}],
}


def codes_of(declared: Operation) -> list[str]:
    """Every error code that the operation can answer with."""
    found = [codes.BODY_TOO_LARGE]
    if declared.limited:
        found.append(codes.RATE_LIMITED)
    if declared.offered is not None:
        found.append(codes.NOT_FOUND)
    if declared.access is not Access.PUBLIC:
        found.append(codes.UNAUTHENTICATED)
    if declared.access is Access.ADMIN:
        found.append(codes.FORBIDDEN)
    if declared.body is not None:
        found += [codes.MALFORMED_JSON, codes.UNSUPPORTED_MEDIA_TYPE]
    found.append(codes.VALIDATION_FAILED)  # a query, where none is taken
    found += declared.refusals
    if codes.UNAVAILABLE in declared.refusals and codes.BUSY not in found:
        found.append(codes.BUSY)
    return found


def statuses(declared: Operation) -> set[HTTPStatus]:
    return {PROBLEMS[code].status for code in codes_of(declared)}


def responses(declared: Operation) -> dict[str, Any]:
    by_status: dict[HTTPStatus, list[str]] = {}
    for code in codes_of(declared):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {str(int(status)): _response(status, named) for status, named in sorted(by_status.items())}


def _response(status: HTTPStatus, named: Iterable[str]) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": ", ".join(_code_and_reasons(code) for code in named),
        "content": {
            problems.MIME_TYPE: {
                # What generators make of it: a problem whose code is one of these.
                "schema": {
                    "allOf": [
                        {"$ref": "#/components/schemas/Problem"},
                        {"type": "object", "required": ["code"], "properties": {"code": _code_schema(named)}},
                    ]
                },
                "examples": {code: {"value": _example(code)} for code in named},
            }
        },
    }
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        response["headers"] = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
    return response


def _code_schema(named: Iterable[str]) -> dict[str, Any]:
    return {"type": "string", "enum": list(named), "description": "what went wrong, stable"}


def _code_and_reasons(code: str) -> str:
    reasons = ", ".join(f"`{reason}`" for reason in REASONS.get(code, ()))
    return f"`{code}` (with a `reason`: {reasons})" if reasons else f"`{code}`"


def _example(code: str) -> dict[str, Any]:
    known = PROBLEMS[code]
    own = {
        member: next(iter(REASONS[code])) if member == "reason" else _MEMBER_EXAMPLES[member]
        for member in known.members
        if member != "hint"  # only where a setting would offer the route
    }
    return {
        "type": f"/problems/{code}",
        "title": known.title.en,
        "status": int(known.status),
        "code": code,
        "detail": detail(code, own).en,
        "request_id": "b3f1c9d2a4e84d0f9a6b7c8d9e0f1a2b",
    } | own
