"""What is wrong with the fields of a request: `errors[]` of `validation_failed`, with what would be right.

Each entry names a field and a code, and what the model of the request knows: bounds, allowed values, a pattern, an
example. Nothing of it comes from the request but names of fields: pydantic's own texts could quote the input.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from resources.http.bases import Input
from resources.http.fields import CUSTOM_PREFIX
from resources.http.problems import Text

FieldError = dict[str, Any]

MAX_ERRORS = 100
MAX_NAME = 100
_MAX_ALLOWED = 40  # values of a list that is worth sending; the currencies are more
_MAX_GUESSES = 5  # unknown fields of a request for which a name like theirs is looked for: it takes time

# pydantic's error types, as the codes of `errors[]`.
_CODES = {
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
# What pydantic says of a failed check, by its own names.
_BOUNDS = {"ge": "minimum", "le": "maximum", "min_length": "min_length", "max_length": "max_length"}
# What a schema says of a field, by its keywords, and for which codes an entry has it.
_KEYWORDS = {
    "minimum": ("minimum", {"out_of_range"}),
    "maximum": ("maximum", {"out_of_range"}),
    "minLength": ("min_length", {"too_short", "too_long"}),
    "maxLength": ("max_length", {"too_short", "too_long"}),
    "minItems": ("min_length", {"too_short", "too_long"}),
    "maxItems": ("max_length", {"too_short", "too_long"}),
    "pattern": ("pattern", {"invalid_format"}),
    "type": ("expected", {"wrong_type"}),
}
_WITH_EXAMPLE = {"invalid_format", "invalid_time", "unknown_currency", "unknown_region"}


def of(model: type[BaseModel], failed: ValidationError) -> Iterator[FieldError]:
    """The entries for a request that is no `model`."""
    guesses = 0
    for error in failed.errors(include_input=False, include_url=False)[:MAX_ERRORS]:
        code = _code(error["type"])
        entry: FieldError = {"field": ".".join(str(part) for part in error["loc"])[:MAX_NAME], "code": code}
        if code == "unknown_field":
            guesses += 1
            hint = _hint(model, error["loc"], guess=guesses <= _MAX_GUESSES)
            entry |= {} if hint is None else {"hint": hint}
        else:
            entry |= _known(code, _schema_at(model, error["loc"]), error.get("ctx", {}))
        yield entry


def _code(kind: str) -> str:
    if kind.startswith(CUSTOM_PREFIX):
        return kind.removeprefix(CUSTOM_PREFIX)
    return _CODES.get(kind, "wrong_type")


def _known(code: str, schema: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """What would be right, from the field's schema and, since that may say less, from the check that failed."""
    known = {
        name: schema[keyword] for keyword, (name, codes) in _KEYWORDS.items() if code in codes and keyword in schema
    }
    known |= {_BOUNDS[name]: value for name, value in context.items() if name in _BOUNDS}
    if "pattern" in context:
        known["pattern"] = context["pattern"]
    if code == "invalid_value" and len(allowed := _allowed(schema)) in range(1, _MAX_ALLOWED + 1):
        known["allowed"] = allowed
    if code in _WITH_EXAMPLE and schema.get("examples"):
        known["example"] = schema["examples"][0]
    return known


def _allowed(schema: Mapping[str, Any]) -> list[Any]:
    if schema.get("type") == "boolean":
        return ["true", "false"]  # in a query, where alone a flag is a text
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _schema_at(model: type[BaseModel], place: tuple[int | str, ...]) -> Mapping[str, Any]:
    """The schema of the field at `place`; empty where there is none."""
    whole = _schema(model)
    found: Any = whole
    for part in place:
        found = _plain(whole, found)
        found = found.get("items", {}) if isinstance(part, int) else found.get("properties", {}).get(part, {})
    schema: Mapping[str, Any] = _plain(whole, found)
    return schema


def _plain(whole: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A schema without its reference, and without the null that stands beside it."""
    for one in schema.get("anyOf", ()):
        if one != {"type": "null"}:
            return {**schema, **_plain(whole, one)}
    if "$ref" in schema:
        return whole["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _hint(model: type[BaseModel], place: tuple[int | str, ...], guess: bool) -> Text | None:
    """What the caller may have meant by a field that there is not."""
    name = str(place[-1])
    if len(place) == 1 and issubclass(model, Input) and name in model.hints:
        return model.hints[name]
    if not guess or len(name) > MAX_NAME:
        return None
    fields = _schema_at(model, place[:-1]).get("properties", {})
    if name in fields:
        return None  # there is such a field, but not for this caller
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])|[- ]", "_", name).lower()  # goodsId, goods-id
    near = difflib.get_close_matches(plain, fields, 1) or [one for one in fields if one.startswith(f"{plain}_")][:1]
    return Text(f"Did you mean `{near[0]}`?", f"是否指 `{near[0]}`？") if near else None
