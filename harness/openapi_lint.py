"""Checks the OpenAPI description: valid, described throughout, with examples that keep to their schemas.

python -m harness.openapi_lint      prints what is wrong with today's description, and exits with 1 if anything is

Validity is openapi-spec-validator's matter. The rest is what a reader, or a generated client, misses where it is not
there: a field without a text, an operation without a declared tag, an example that the service would refuse.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
from openapi_spec_validator import OpenAPIV31SpecValidator

from harness.client_types import description

Document = dict[str, Any]


def faults(document: Document) -> list[str]:
    """What is wrong with a description, a line each."""
    invalid = [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in OpenAPIV31SpecValidator(document).iter_errors()
    ]
    # The other rules look for what a valid description has.
    return invalid or [*_head(document), *_operations(document), *_texts(document, "#"), *_examples(document)]


def operations(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each operation, with its path and verb."""
    for path, methods in document["paths"].items():
        for verb, operation in methods.items():
            yield path, verb, operation


def contents(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each body and answer with content: where it is, its type, its description."""
    for path, verb, operation in operations(document):
        for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{verb} {path} body", media_type, media
        for status, answer in operation["responses"].items():
            for media_type, media in answer.get("content", {}).items():
                yield f"{verb} {path} {status}", media_type, media


def _head(document: Document) -> Iterator[str]:
    info = document["info"]
    yield from (f"info has no {name}" for name in ("description", "license") if not info.get(name))
    if not re.fullmatch(r"\d+\.\d+\.\d+", info["version"]):
        yield f"info.version {info['version']} is not of the form 1.2.3"
    if not document.get("servers"):
        yield "there are no servers"
    used = {tag for _, _, operation in operations(document) for tag in operation.get("tags", ())}
    declared = {tag["name"] for tag in document.get("tags", ())}
    yield from (f"the tag {name} is not declared" for name in sorted(used - declared))
    yield from (f"the tag {name} is used by no operation" for name in sorted(declared - used))
    yield from (f"the tag {tag['name']} has no description" for tag in document["tags"] if not tag.get("description"))


def _operations(document: Document) -> Iterator[str]:
    for path, verb, operation in operations(document):
        place = f"{verb} {path}"
        yield from (f"{place} has no {name}" for name in ("operationId", "summary", "tags") if not operation.get(name))
        if not any(status < "400" for status in operation["responses"]):
            yield f"{place} has no answer of success"
        for status, answer in operation["responses"].items():
            if status >= "400" and set(answer.get("content", ())) != {"application/problem+json"}:
                yield f"{place} {status} is no problem"


def _texts(part: Any, place: str) -> Iterator[str]:
    """What has no description: fields of models, parameters, answers, headers."""
    if isinstance(part, list):
        for number, one in enumerate(part):
            yield from _texts(one, f"{place}/{number}")
    elif isinstance(part, dict):
        for name, one in part.items():
            if name in ("example", "examples"):
                continue
            named = one if name in ("properties", "headers", "responses") else {}
            yield from (
                f"{place}/{name}/{key} has no description" for key in named if not named[key].get("description")
            )
            if name == "parameters":
                yield from (f"{place}: {it['name']} has no description" for it in one if not it.get("description"))
            # A field may be named as a keyword.
            yield from _texts(list(named.values()) if name == "properties" else one, f"{place}/{name}")


def referred(part: Any, document: Document) -> dict[str, dict[str, Any]]:
    """The models that a part of the description refers to, and those that these refer to, by name."""
    models: dict[str, dict[str, Any]] = document["components"]["schemas"]
    found: dict[str, dict[str, Any]] = {}
    pending = [part]
    while pending:
        one = pending.pop()
        if isinstance(one, list):
            pending += one
        elif isinstance(one, dict):
            pending += one.values()
            # A field may be named `$ref`.
            reference = str(one.get("$ref", ""))
            name = reference.removeprefix("#/components/schemas/")
            if name != reference and name in models and name not in found:
                found[name] = models[name]
                pending.append(models[name])
    return found


def _examples(document: Document) -> Iterator[str]:
    def wrong(place: str, schema: dict[str, Any], shown: list[Any]) -> Iterator[str]:
        if not shown:
            return
        # Only the models that it refers to: reading all of them for each schema took most of the time.
        whole = jsonschema_rs.validator_for({**schema, "components": {"schemas": referred(schema, document)}})
        yield from (f"an example of {place} does not keep to its schema" for one in shown if not whole.is_valid(one))

    for place, media_type, media in contents(document):
        shown = [one["value"] for one in media.get("examples", {}).values()]
        shown += [media["example"]] if "example" in media else []
        if not shown:
            yield f"{place} has no example"
        if "json" in media_type:
            yield from wrong(place, media["schema"], shown)
    for name, model in document["components"]["schemas"].items():
        yield from wrong(name, model, model.get("examples", []))
        for field, schema in model.get("properties", {}).items():
            yield from wrong(f"{name}.{field}", schema, schema.get("examples", []))
    for path, verb, operation in operations(document):
        for parameter in operation["parameters"]:
            schema = parameter["schema"]
            yield from wrong(f"{verb} {path} {parameter['name']}", schema, schema.get("examples", []))


if __name__ == "__main__":
    found = faults(description())
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(1 if found else 0)
