"""An operation of the API: who may call it, what it takes, what it answers.

The decorator checks a request in the contract's order (route, size and type, token and role, JSON, fields) and hands
the method what it asked for. The same declaration becomes the OpenAPI description.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from http import HTTPMethod
from typing import Any, TypeVar

from flask import request
from flask_restful import Resource
from pydantic import BaseModel, ValidationError

from config import Settings
from core.refusals import NOT_FOUND, VALIDATION_FAILED, Refusal
from resources import body
from resources.auth import Access, authenticate
from resources.context import shop

Method = TypeVar("Method", bound=Callable[..., Any])

_MAX_ERRORS = 100
_MAX_NAME = 100

# pydantic's error types, as the codes of `errors[]`; its own texts could quote the input.
_FIELD_CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "greater_than_equal": "out_of_range",
    "greater_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "too_short": "too_short",
    "too_long": "too_long",
    "string_pattern_mismatch": "invalid_format",
    "literal_error": "invalid_value",
}
CUSTOM_PREFIX = "seckill."


@dataclass(frozen=True)
class Operation:
    """The declaration of one method of one route. Where the settings do not offer it, there is no such route."""

    id: str
    tag: str
    access: Access
    answers: Mapping[int, type[BaseModel] | None]
    refusals: tuple[str, ...] = ()
    body: type[BaseModel] | None = None
    body_optional: bool = False
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    answer_headers: Mapping[str, str] | None = None
    limited: bool = True
    offered: Callable[[Settings], bool] | None = None


def operation(declared: Operation) -> Callable[[Method], Method]:
    """Make a method of a Resource the operation `declared`.

    The method is called with the path's parameters by position and, where declared, `caller`, `query`, `headers`
    and `body` by name.
    """

    def decorate(method: Method) -> Method:
        @wraps(method)
        def checked(self: Resource, **path: str) -> Any:
            if declared.offered is not None and not declared.offered(shop().settings):
                raise Refusal(NOT_FOUND)
            data = body.receive(expected=declared.body is not None)
            arguments: dict[str, Any] = {}
            caller = authenticate(declared.access)
            if caller is not None:
                arguments["caller"] = caller
            errors: list[dict[str, str]] = []
            if declared.body is not None:
                empty = declared.body_optional and not data
                value = {} if empty else body.parse_object(data)
                arguments["body"] = _validate(declared.body, value, errors)
            if declared.query is not None:
                arguments["query"] = _validate(declared.query, _query(errors), errors)
            else:
                # `?quantity=5` would otherwise buy one.
                errors += [{"field": name[:_MAX_NAME], "code": "unknown_field"} for name in request.args]
            if declared.headers is not None:
                arguments["headers"] = _validate(declared.headers, _headers(declared.headers), errors)
            if errors:
                raise Refusal(VALIDATION_FAILED, errors=errors[:_MAX_ERRORS])
            return method(self, *path.values(), **arguments)

        checked.operation = declared  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


class ApiResource(Resource):  # type: ignore[misc]
    """A resource whose every method is an operation: none can be added without saying who may call it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for verb in HTTPMethod:
            method = cls.__dict__.get(verb.lower())
            if method is not None and not isinstance(getattr(method, "operation", None), Operation):
                raise TypeError(f"{cls.__name__}.{verb.lower()} is no operation")


def _validate(model: type[BaseModel], value: Mapping[str, Any], errors: list[dict[str, str]]) -> BaseModel | None:
    try:
        return model.model_validate(value)
    except ValidationError as failed:
        for error in failed.errors(include_input=False, include_url=False, include_context=False):
            field = ".".join(str(part) for part in error["loc"])[:_MAX_NAME]
            errors.append({"field": field, "code": _field_code(error["type"])})
        return None


def _field_code(kind: str) -> str:
    if kind.startswith(CUSTOM_PREFIX):
        return kind.removeprefix(CUSTOM_PREFIX)
    return _FIELD_CODES.get(kind, "wrong_type")


def _query(errors: list[dict[str, str]]) -> dict[str, str]:
    for name, values in request.args.lists():
        if len(values) > 1:
            errors.append({"field": name[:_MAX_NAME], "code": "repeated"})
    return request.args.to_dict()


def _headers(model: type[BaseModel]) -> dict[str, str]:
    names = [field.alias or name for name, field in model.model_fields.items()]
    return {name: request.headers[name] for name in names if name in request.headers}
