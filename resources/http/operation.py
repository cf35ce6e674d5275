"""An operation of the API: who may call it, what it takes, what it answers.

The decorator checks a request in the contract's order (route, size and type, token and role, JSON, fields) and hands
the method what it asked for. The same declaration becomes the OpenAPI description.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial, wraps
from http import HTTPMethod
from typing import Any, NamedTuple, TypeVar

import flask
from flask import Response
from flask_restful import Resource
from pydantic import BaseModel, ValidationError
from werkzeug.wrappers import Request

from config import Settings
from core.db.clock import deadline_of_request
from core.refusals import IDEMPOTENCY_KEY_REUSED, NOT_FOUND, VALIDATION_FAILED, Refusal, Unavailable
from core.services import Services
from core.tokens import Identity
from resources.http import body, field_errors, idempotency
from resources.http.answers import flask_response
from resources.http.api_request import ApiRequest, environ_name
from resources.http.auth import Access, authenticate
from resources.http.context import services
from resources.http.field_errors import MAX_ERRORS, MAX_NAME, FieldError
from resources.http.idempotency import KeyHeaders
from resources.http.reply import Later, Reply, reply_of

Method = TypeVar("Method", bound=Callable[..., Any])

_ANSWERS = (Reply, Later, Response)
_SHORT_BODY = 100  # bytes; longer ones hold an address, which is one person's


@dataclass(frozen=True)
class Operation:
    """The declaration of one method of one route. Where the settings do not offer it, there is no such route.

    `offered_by` names the setting that offers it; `problems.NOT_OFFERED` has what a client is told.
    `prepare` is called with the body ahead of the method: for checks that query other systems, and so may not be made
    within a transaction, which a request with an `Idempotency-Key` is from its first statement on.
    """

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
    media: tuple[str, str] | None = None  # the type of an answer that is no JSON, and an example
    limited: bool = True
    offered: Callable[[Settings], bool] | None = None
    offered_by: str = ""
    prepare: Callable[[Any], None] | None = None
    repeated: bool = False  # most of its bodies are alike: a short one is parsed once for all that are equal


def operation(declared: Operation) -> Callable[[Method], Method]:
    """Make a method of a Resource the operation `declared`.

    The method is called with the path's parameters by position and, where declared, `caller`, `query`, `headers`
    and `body` by name. Each POST and PATCH of a user takes an `Idempotency-Key`: with one, the method is called within
    the transaction that stores its answer, and not at all where the answer is known. One that declares that header has
    keys of its own, which it sees to itself.
    """

    def decorate(method: Method) -> Method:
        keyed = _is_keyed(declared, method.__name__)

        @wraps(method)
        def answer(self: Resource, **path: str) -> Response:
            request = ApiRequest.of(flask.request.environ)
            found = run(declared, request, services(), partial(method, self, *path.values()), keyed)
            if isinstance(found, Later):
                made = found.wait(deadline_of_request(services().settings.PURCHASE_WAIT_SECONDS).remaining())
                if not isinstance(made, Reply):
                    raise made or Unavailable()
                found = made
            if found is None:
                raise TypeError(f"{declared.id} returned nothing")
            return found if isinstance(found, Response) else flask_response(found)

        answer.operation = _with_key(declared) if keyed else declared  # type: ignore[attr-defined]
        return answer  # type: ignore[return-value]

    return decorate


def run(
    declared: Operation, request: ApiRequest, services: Services, act: Callable[..., Any], keyed: bool = False
) -> Reply | Later | Response | None:
    """Check a request against the declaration, and answer it by `act`. Both entrances call it.

    `act` is called with what the declaration asks for, by name. It returns data, alone or with a status and headers, a
    Reply, a Later, or the Response of an answer in pieces; on the fast path, None has Flask answer. `keyed` requests
    may bear an `Idempotency-Key`, under which `act` is done once. Raises what `errors.reply_to` knows.
    """
    if declared.offered is not None and not declared.offered(services.settings):
        raise Refusal(NOT_FOUND, hint=declared.offered_by)
    given = _read(declared, request, services, keyed)
    content = given.arguments.get("body")
    prepare = partial(declared.prepare, content) if declared.prepare else None
    if given.key is not None and given.caller is not None:
        user_id, act = given.caller.user_id, partial(act, **given.arguments)
        return idempotency.answer_once(services.database, request, user_id, given.key, content, act, prepare)
    if prepare is not None:
        prepare()
    returned = act(**given.arguments)
    return returned if returned is None or isinstance(returned, _ANSWERS) else reply_of(returned)


class _Given(NamedTuple):
    """What a request gives an operation: its caller, the arguments of its method by name, and a key to answer once."""

    caller: Identity | None
    arguments: dict[str, Any]
    key: str | None


def _read(declared: Operation, request: ApiRequest, services: Services, keyed: bool) -> _Given:
    """Check a request in the contract's order: size and type of the body, token and role, JSON, fields."""
    data = request.body()
    body.check(data, request.length, request.environ, declared.body is not None)
    arguments: dict[str, Any] = {}
    caller = authenticate(declared.access, request, services)
    if caller is not None:
        arguments["caller"] = caller
    errors: list[FieldError] = []
    if declared.body is not None:
        arguments["body"] = _body(declared, data, errors)
    if declared.query is not None:
        arguments["query"] = _validate(declared.query, _query(request, errors), errors, caller)
    elif request.environ.get("QUERY_STRING"):
        # `?quantity=5` would otherwise buy one.
        errors += [{"field": name[:MAX_NAME], "code": "unknown_field"} for name in _query(request, errors)]
    if declared.headers is not None:
        arguments["headers"] = _validate(declared.headers, _headers(request, declared.headers), errors)
    keys = _validate(KeyHeaders, _headers(request, KeyHeaders), errors) if keyed else None
    if errors:
        raise Refusal(VALIDATION_FAILED, errors=errors[:MAX_ERRORS])
    return _Given(caller, arguments, keys.idempotency_key if isinstance(keys, KeyHeaders) else None)


def _body(declared: Operation, data: bytes, errors: list[FieldError]) -> BaseModel | None:
    assert declared.body is not None
    if declared.repeated and len(data) <= _SHORT_BODY:
        try:
            return _short_body(declared.body, data, declared.body_optional)
        except (Refusal, ValidationError):
            pass  # what is wrong with it is said below
    empty = declared.body_optional and not data
    return _validate(declared.body, {} if empty else body.parse_object(data), errors)


@lru_cache(maxsize=1000)
def _short_body(model: type[BaseModel], data: bytes, optional: bool) -> BaseModel:
    return model.model_validate({} if optional and not data else body.parse_object(data))


def _is_keyed(declared: Operation, verb: str) -> bool:
    """Whether the operation takes an `Idempotency-Key` that is seen to here: all that change something for a user."""
    if verb not in ("post", "patch") or declared.access not in (Access.BUYER, Access.ADMIN):
        return False
    if declared.headers is None:
        return True
    if idempotency.NAME not in dict(_names(declared.headers)):
        raise TypeError(f"{declared.id} has headers of its own, and says nothing of {idempotency.NAME}")
    return False


def _with_key(declared: Operation) -> Operation:
    """The declaration as clients see it."""
    return replace(
        declared,
        headers=KeyHeaders,
        refusals=(*declared.refusals, IDEMPOTENCY_KEY_REUSED),
        answer_headers={**(declared.answer_headers or {}), **idempotency.ANSWER_HEADERS},
    )


class ApiResource(Resource):  # type: ignore[misc]
    """A resource whose every method is an operation: none can be added without saying who may call it."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for verb in HTTPMethod:
            method = cls.__dict__.get(verb.lower())
            if method is not None and not isinstance(getattr(method, "operation", None), Operation):
                raise TypeError(f"{cls.__name__}.{verb.lower()} is no operation")


def _validate(
    model: type[BaseModel], value: Mapping[str, Any], errors: list[FieldError], caller: Identity | None = None
) -> BaseModel | None:
    try:
        return model.model_validate(value, context=caller)
    except ValidationError as failed:
        errors += field_errors.of(model, failed)
        return None


def _query(request: ApiRequest, errors: list[FieldError]) -> dict[str, str]:
    if not request.environ.get("QUERY_STRING"):
        return {}
    arguments = Request(request.environ, populate_request=False).args
    for name, values in arguments.lists():
        if len(values) > 1:
            errors.append({"field": name[:MAX_NAME], "code": "repeated"})
    return arguments.to_dict()


def _headers(request: ApiRequest, model: type[BaseModel]) -> dict[str, str]:
    environ = request.environ
    return {name: environ[key] for name, key in _names(model) if key in environ}


@cache
def _names(model: type[BaseModel]) -> list[tuple[str, str]]:
    """The headers of a model: their names, and those that they have in the environment."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [(name, environ_name(name)) for name in names]
