"""What checks the OpenAPI description tells of each fault that it looks for."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.openapi_lint import faults, referred


def first_field(document: dict[str, Any]) -> dict[str, Any]:
    field: dict[str, Any] = document["components"]["schemas"]["Goods"]["properties"]["name"]
    return field


BREAKS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "invalid": (lambda d: d["info"].pop("title"), "required property"),
    "info": (lambda d: d["info"].pop("description"), "info has no description"),
    "version": (lambda d: d["info"].update(version="new"), "not of the form"),
    "servers": (lambda d: d.pop("servers"), "no servers"),
    "an undeclared tag": (lambda d: d["paths"]["/goods"]["get"].update(tags=["Odd"]), "Odd is not declared"),
    "an unused tag": (lambda d: d["tags"].append({"name": "Odd", "description": "x"}), "Odd is used by no"),
    "a bare tag": (lambda d: d["tags"][0].pop("description"), "the tag Goods has no description"),
    "an id twice": (lambda d: d["paths"]["/goods"]["get"].update(operationId="getGoods"), "'getGoods' for"),
    "no summary": (lambda d: d["paths"]["/goods"]["get"].pop("summary"), "get /goods has no summary"),
    "a path": (lambda d: d["paths"]["/goods/{goods_id}"]["get"]["parameters"].pop(0), "was not resolved"),
    "no success": (lambda d: d["paths"]["/goods"]["get"]["responses"].pop("200"), "no answer of success"),
    "no problem": (lambda d: d["paths"]["/goods"]["get"]["responses"]["422"].pop("content"), "422 is no problem"),
    "a bare field": (lambda d: first_field(d).pop("description"), "Goods/properties/name has no description"),
    "a bare parameter": (
        lambda d: d["paths"]["/goods"]["get"]["parameters"][0].pop("description"),
        "has no description",
    ),
    "a wrong example": (lambda d: first_field(d).update(examples=[1]), "an example of Goods.name"),
    "a wrong answer": (
        lambda d: d["paths"]["/goods"]["get"]["responses"]["200"]["content"]["application/json"].update(example=1),
        "an example of get /goods 200",
    ),
    "no example": (
        lambda d: d["paths"]["/goods"]["get"]["responses"]["200"]["content"]["application/json"].pop("example"),
        "get /goods 200 has no example",
    ),
}


@pytest.fixture
def goods_alone(document: dict[str, Any]) -> dict[str, Any]:
    """The description of two paths about goods, and of what they refer to. It is valid as it is."""
    document["paths"] = {path: document["paths"][path] for path in ("/goods", "/goods/{goods_id}")}
    document["components"]["schemas"] = referred(document["paths"], document)
    document["tags"] = [tag for tag in document["tags"] if tag["name"] == "Goods"]
    assert faults(document) == []
    return document


@pytest.mark.parametrize(("break_it", "message"), BREAKS.values(), ids=BREAKS)
def test_the_linter_tells_of_each_fault(
    goods_alone: dict[str, Any], break_it: Callable[[dict[str, Any]], Any], message: str
) -> None:
    break_it(goods_alone)
    assert any(message in line for line in faults(goods_alone)), faults(goods_alone)
