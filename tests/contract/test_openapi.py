"""The OpenAPI description: valid, complete, with examples that keep to it."""

import re
from collections.abc import Iterator
from typing import Any

from flask import Flask

import app as application
from harness.openapi_lint import contents, faults, operations
from resources.field_texts import TEXTS
from resources.http.limits import FREE
from resources.http.problems import FIELD_PROBLEMS, PROBLEMS

VERBS = {"get", "post", "put", "patch", "delete"}
DEFINED_IDS = {
    "buyGoods",
    "cancelOrder",
    "changeCoupon",
    "changeGoods",
    "changeShippingMethod",
    "changeWebhook",
    "createCoupon",
    "createGoods",
    "createShippingMethod",
    "createWebhook",
    "deleteGoods",
    "deleteWebhook",
    "getCoupon",
    "getGoods",
    "getHealth",
    "getMetrics",
    "getOrder",
    "getReadiness",
    "getSale",
    "getShippingMethod",
    "getWebhook",
    "listCoupons",
    "listEvents",
    "listGoods",
    "listGoodsChanges",
    "listOrders",
    "listPayments",
    "listShippingMethods",
    "listWebhookDeliveries",
    "listWebhooks",
    "pauseSale",
    "payOrder",
    "quotePurchase",
    "receivePayment",
    "refundOrder",
    "resolvePayment",
    "resumeSale",
    "retryWebhookDelivery",
}


def test_the_linter_finds_nothing(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert faults(document) == []
    assert len(list(contents(document))) > 50


def test_no_text_of_a_field_is_left_over(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    fields = {name for model in models.values() for name in model.get("properties", ())}
    fields |= {f"{model}.{name}" for model in models for name in models[model].get("properties", ())}
    for _, _, operation in operations(document):
        fields |= {parameter["name"] for parameter in operation["parameters"]}
        fields |= {f"{operation['tags'][0]}.{parameter['name']}" for parameter in operation["parameters"]}
    assert set(TEXTS) <= fields


def test_methods_are_in_the_order_in_which_people_try_them(document: dict[str, Any]) -> None:
    order = ["get", "post", "patch", "delete"]
    for path, methods in document["paths"].items():
        assert list(methods) == sorted(methods, key=order.index), path


def test_every_error_answer_lists_its_codes_for_generators(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    assert set(models["Problem"]["properties"]["code"]["enum"]) == set(PROBLEMS)
    assert set(models["FieldProblem"]["properties"]["code"]["enum"]) == set(FIELD_PROBLEMS)
    members = {member for known in PROBLEMS.values() for member in known.members}
    assert members <= set(models["Problem"]["properties"])
    for path, verb, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400":
                content = answer["content"]["application/problem+json"]
                whole, own = content["schema"]["allOf"]
                assert whole == {"$ref": "#/components/schemas/Problem"}
                assert own["properties"]["code"]["enum"] == list(content["examples"]), (path, verb, status)


def test_every_route_and_method_is_described_and_no_other(sqlite_app: Flask, document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in sqlite_app.url_map.iter_rules()
        if rule.rule in application.ROUTES
        for method in rule.methods or ()
        if method.lower() in VERBS
    }
    assert len({path for path, _ in served}) == len(application.ROUTES)
    assert {(path, verb) for path, verb, _ in operations(document)} == served


def test_operation_ids_stay_as_they_are(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    # Once set, they are set: programs are generated from them.
    assert set(ids) >= DEFINED_IDS


def test_every_error_answer_is_a_problem_and_names_codes_that_exist(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            named = answer["content"]["application/problem+json"]["examples"]
            assert named
            for code, example in named.items():
                assert int(PROBLEMS[code].status) == int(status)
                assert example["value"]["code"] == code
                optional = {"hint"}  # of a route that a setting would offer
                assert set(PROBLEMS[code].members) - optional <= set(example["value"])
                assert code in answer["description"]


def test_every_code_that_an_operation_can_answer_with_is_described_somewhere(document: dict[str, Any]) -> None:
    described = {
        code
        for _, _, operation in operations(document)
        for status, answer in operation["responses"].items()
        if int(status) >= 400
        for code in answer["content"]["application/problem+json"]["examples"]
    }
    # These come from no operation: a method that is none, broken HTTP, a bug.
    assert set(PROBLEMS) - described == {"method_not_allowed", "bad_request", "internal_error"}


def test_a_query_that_is_not_taken_is_described_as_refused(sqlite_app: Flask, document: dict[str, Any]) -> None:
    answer = sqlite_app.test_client().get("/healthz?x=1")
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
    for path, verb, operation in operations(document):
        named = operation["responses"]["422"]["content"]["application/problem+json"]["examples"]
        assert "validation_failed" in named, (path, verb)


def test_who_may_call_is_described(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert (schemes["bearer"]["type"], schemes["bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["signature"]["in"], schemes["signature"]["name"]) == ("header", "webhook-signature")
    for path, verb, operation in operations(document):
        assert bool(operation.get("security")) == ("401" in operation["responses"]), (path, verb)


def test_creations_and_retries_describe_their_headers(document: dict[str, Any]) -> None:
    for path, verb, operation in operations(document):
        for status, answer in operation["responses"].items():
            headers = set(answer.get("headers", {}))
            assert status != "201" or "Location" in headers, (path, verb)
            assert status not in ("429", "503") or "Retry-After" in headers, (path, verb)


def test_every_post_and_patch_of_a_user_describes_its_idempotency_key(document: dict[str, Any]) -> None:
    seen = 0
    for path, verb, operation in operations(document):
        keys = [parameter for parameter in operation["parameters"] if parameter["name"] == "Idempotency-Key"]
        changes = verb in ("post", "patch") and operation["operationId"] != "receivePayment"
        assert len(keys) == changes, (path, verb)
        if changes:
            (key,) = keys
            assert (key["in"], key["required"], key["schema"]["pattern"]) == ("header", False, "^[!-~]{1,255}$")
            done = next(answer for status, answer in operation["responses"].items() if status in ("200", "201"))
            assert "Idempotent-Replayed" in done["headers"], (path, verb)
            refused = operation["responses"]["422"]["content"]["application/problem+json"]["examples"]
            assert "idempotency_key_reused" in refused, (path, verb)
            seen += 1
    assert seen >= 15


def test_what_is_free_of_limits_is_described_without_them(document: dict[str, Any]) -> None:
    free = {path for path, _, operation in operations(document) if "429" not in operation["responses"]}
    assert free == FREE


def test_all_references_lead_somewhere(document: dict[str, Any]) -> None:
    found: list[str] = []

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                found.append(value["$ref"])
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                visit(part)

    visit(document)
    assert found
    for reference in found:
        target = document
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]


def parts(described: Any) -> Iterator[dict[str, Any]]:
    """Every object of the description but those within examples."""
    if isinstance(described, dict):
        yield described
        for name, part in described.items():
            if name == "properties":
                yield from parts(list(part.values()))
            elif name not in ("example", "examples"):
                yield from parts(part)
    elif isinstance(described, list):
        for part in described:
            yield from parts(part)


def test_every_integer_has_64_bits(document: dict[str, Any]) -> None:
    integers = [part for part in parts(document) if part.get("type") == "integer"]
    assert len(integers) > 100
    assert [part for part in integers if part.get("format") != "int64"] == []


def test_what_may_be_left_out_is_not_required_and_has_no_default_that_generators_take_for_a_duty(
    document: dict[str, Any],
) -> None:
    models = document["components"]["schemas"]
    assert "required" not in models["PurchaseBody"]
    assert set(models["GoodsCreate"]["required"]) == {"name", "currency", "price", "stock"}
    assert set(models["Address"]["required"]) == {"name", "phone", "region", "line1"}
    assert "by default `1`" in models["PurchaseBody"]["properties"]["quantity"]["description"]
    schemas = [part for part in parts(document) if "default" in part and ("type" in part or "anyOf" in part)]
    assert schemas == []


def test_what_an_answer_always_has_is_required(document: dict[str, Any]) -> None:
    models = document["components"]["schemas"]
    assert "errors" not in models["Problem"]["required"]
    answers = {
        media["schema"]["$ref"].rpartition("/")[2]
        for path in document["paths"].values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if status < "300"
        for media in answer.get("content", {}).values()
        if "$ref" in media["schema"]
    }
    assert {"Order", "GoodsPage", "Quote"} <= answers
    for name in answers:
        assert set(models[name]["required"]) == set(models[name]["properties"]), name
