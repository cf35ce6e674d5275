"""The OpenAPI 3.1 description, made from the operations' declarations and the models that check the requests.

spectree walks the routes and turns the models into schemas; what it has no place for (problems, examples, optional
bodies, response headers) is added here. Imported only when somebody asks for the description.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask
from spectree import Response, SpecTree
from spectree.models import InType, SecureType, SecurityScheme, SecuritySchemeData
from spectree.plugins.flask_plugin import FlaskPlugin

from core.json_text import to_json
from core.version import __version__
from resources import schemas
from resources.field_texts import TAGS, TEXTS
from resources.http import fields, openapi_problems
from resources.http.auth import Access
from resources.http.operation import Operation

TITLE = "Flash sale"
_SCHEME = "bearer"
_VERBS = ("get", "post", "put", "patch", "delete")  # as they are shown
_ID = {"type": "integer", "format": "int64", "minimum": 1}
_IDS = ("goods_id", "webhook_id", "delivery_id")
_SIGNATURE = "signature"
_NUMBERS = frozenset({"Poll-After"})  # headers of answers that are no text
_CODE = {"type": "string", "pattern": fields.CODE}
# Parameters that the code reads by itself, by operation.
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "the version that the caller has read, in quotes",
    "schema": {"type": "string", "examples": ['"1"']},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "the ETag that the caller has",
    "schema": {"type": "string", "examples": ['"1-50-0-on_sale"']},
}


class _Operations(FlaskPlugin):
    """Shows spectree our operations as if it had decorated them."""

    def parse_func(self, route: Any) -> Iterator[tuple[str, Any]]:
        for verb, method in super().parse_func(route):
            declared = getattr(method, "operation", None)
            if isinstance(declared, Operation):
                yield (
                    verb,
                    self.spectree.validate(
                        query=declared.query,
                        json=declared.body,
                        headers=declared.headers,
                        resp=_response(declared),
                        tags=(declared.tag,),
                        operation_id=declared.id,
                        security=_security(declared.access),
                        skip_validation=True,
                    )(method),
                )


def _security(access: Access) -> dict[str, list[str]] | None:
    if access is Access.PUBLIC:
        return None
    return {_SIGNATURE if access is Access.PROVIDER else _SCHEME: []}


def _response(declared: Operation) -> Response:
    bare = [f"HTTP_{status}" for status, model in declared.answers.items() if model is None]
    return Response(
        *bare, **{f"HTTP_{status}": model for status, model in declared.answers.items() if model is not None}
    )


def document(app: Flask) -> dict[str, Any]:
    """The description of `app`'s routes."""
    tree = SpecTree(
        backend=_Operations,
        mode="strict",
        annotations=False,
        title=TITLE,
        version=__version__,
        description="Sells few units to many buyers at once. Errors are RFC 9457 problems with a stable `code`.",
        naming_strategy=lambda model: model.__name__,
        nested_naming_strategy=lambda parent, child: child,
        validation_error_model=schemas.Problem,
        page_templates={},
        security_schemes=[
            SecurityScheme(
                name=_SCHEME,
                data=SecuritySchemeData(
                    type=SecureType.HTTP, scheme="bearer", description="A JSON Web Token; `flask token` makes one."
                ),
            ),
            SecurityScheme(
                name=_SIGNATURE,
                data=SecuritySchemeData(
                    type=SecureType.API_KEY,
                    name="webhook-signature",
                    field_in=InType.HEADER,
                    description="Standard Webhooks: the payment provider signs id, time and body.",
                ),
            ),
        ],
    )
    with app.test_request_context():
        described: dict[str, Any] = tree.spec
        declared = {operation.id: operation for operation in _operations(app)}
    models = described["components"]["schemas"]
    for name, model in models.items():
        _describe_fields(name, model)
    for address, methods in described["paths"].items():
        for operation in methods.values():
            _complete(operation, declared[operation["operationId"]], models)
        described["paths"][address] = dict(sorted(methods.items(), key=lambda method: _VERBS.index(method[0])))
    _for_generators(described)
    described["info"]["license"] = {"name": "MIT", "identifier": "MIT"}
    described["servers"] = [{"url": "/", "description": "this service"}]
    described["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    return described


def _describe_fields(name: str, model: dict[str, Any]) -> None:
    """Give each field of a model that says nothing of itself the text of its name."""
    for field, schema in model.get("properties", {}).items():
        _describe(schema, f"{name}.{field}", field)


def _describe(schema: dict[str, Any], *names: str) -> None:
    if not schema.get("description"):
        schema["description"] = next((TEXTS[name] for name in names if name in TEXTS), "")


def _operations(app: Flask) -> Iterator[Operation]:
    for view in app.view_functions.values():
        resource = getattr(view, "view_class", None)
        for verb in getattr(resource, "methods", None) or ():
            method = getattr(resource, verb.lower(), None)
            if method is not None and hasattr(method, "operation"):
                yield method.operation


def _complete(described: dict[str, Any], declared: Operation, models: Mapping[str, Any]) -> None:
    for parameter in described["parameters"]:
        if parameter["in"] == "path" and parameter["name"] in _IDS:
            parameter["schema"] = _ID
        if parameter["in"] == "path" and parameter["name"] == "code":
            parameter["schema"] = _CODE
        parameter["schema"] = _without_null(parameter["schema"])
        names = [f"{model.__name__}.{parameter['name']}" for model in (declared.query, declared.headers) if model]
        _describe(parameter, *names, f"{declared.tag}.{parameter['name']}", parameter["name"])
    if 412 in openapi_problems.statuses(declared):
        described["parameters"].append(_IF_MATCH)
    if 304 in declared.answers:
        described["parameters"].append(_IF_NONE_MATCH)
    if "requestBody" in described:
        described["requestBody"]["required"] = not declared.body_optional
        _add_example(described["requestBody"]["content"]["application/json"], models)
    answers = {status: described["responses"][str(status)] for status in declared.answers}
    for status, answer in answers.items():
        for media in answer.get("content", {}).values():
            _add_example(media, models)
        if status <= HTTPStatus.NOT_MODIFIED and declared.answer_headers:
            answer["headers"] = {
                name: {"description": text, "schema": {"type": "integer" if name in _NUMBERS else "string"}}
                for name, text in declared.answer_headers.items()
            }
    if declared.media is not None:
        mime_type, shown = declared.media
        answers[200]["content"] = {mime_type: {"schema": {"type": "string"}, "example": shown}}
    described["responses"] = {str(status): answer for status, answer in answers.items()} | openapi_problems.responses(
        declared
    )


def _for_generators(described: Any) -> None:
    """Say of every integer that it has 64 bits, and of what has a default so in words.

    Many generators make 32 bits of an integer without a format, and a field that has to be given of one with a default.
    """
    if isinstance(described, list):
        for part in described:
            _for_generators(part)
    elif isinstance(described, dict):
        if described.get("type") == "integer":
            described["format"] = "int64"
        if "default" in described and described.keys() & {"type", "anyOf", "$ref"}:
            default = described.pop("default")
            if default not in (None, "", []):
                parts = [described["description"]] if described.get("description") else []
                described["description"] = "; ".join([*parts, f"by default `{to_json(default)}`"])
        for name, part in described.items():
            if name == "properties":
                _for_generators(list(part.values()))  # a field may be named as a keyword
            elif name not in ("example", "examples"):
                _for_generators(part)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter: one that is left out is not null, it is left out."""
    allowed = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(allowed) != 1:
        return schema
    own: dict[str, Any] = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return {**own, **allowed[0]}


def _add_example(media: dict[str, Any], models: Mapping[str, Any]) -> None:
    model = models[media["schema"]["$ref"].rpartition("/")[2]]
    media["example"] = model["examples"][0]
