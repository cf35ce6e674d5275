"""The spans of purchases: the request, its wait in the queue, the batch that settles it, and each statement."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry.sdk.trace import Span
from opentelemetry.trace import SpanKind, StatusCode

from core.ops import csv_text
from core.orders import order_list
from core.tracing.tracer import Tracer
from harness.eventually import eventually
from tests.core.purchase.test_sale_cache import NEVER_QUIET
from tests.core.tracing.spans import Spans, linked
from tests.resources.calls import Calls
from tests.resources.test_fast_path_and_flask_agree import ByDispatcher

REQUEST, WAIT, BATCH = "POST /seckill/<goods_id>", "wait in queue", "purchase batch"
USER, KEY = "alice-of-the-tests", "key-of-the-tests"


def test_a_purchase_from_its_arrival_to_its_commit(call: Calls, spans: Spans) -> None:
    item = call.create(per_user_limit=5)["id"]
    answer = call.post(f"/seckill/{item}", USER, json={"quantity": 2}, headers={"Idempotency-Key": KEY})
    assert answer.status_code == 201
    request, wait, batch = spans.one(REQUEST), spans.one(WAIT), spans.one(BATCH)
    assert request.kind is SpanKind.SERVER
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/seckill/<goods_id>",
        "http.response.status_code": 201,
        "seckill.request_id": answer.headers["X-Request-ID"],
    }
    assert [span.name for span in spans.within(request)] == [WAIT]
    assert (linked(request), linked(batch)) == ({batch.context.span_id}, {request.context.span_id})
    assert batch.parent is None
    assert dict(batch.attributes or {}) == {"seckill.batch.size": 1, "seckill.batch.items": 1}
    assert request.start_time <= wait.start_time <= wait.end_time <= batch.start_time  # type: ignore[operator]
    assert batch.end_time <= request.end_time  # type: ignore[operator]
    statements = spans.within(batch)
    names = [span.name for span in statements]
    assert names[-1] == "COMMIT", names
    assert {"SELECT", "INSERT"} < set(names)
    assert all(span.kind is SpanKind.CLIENT for span in statements)
    texts = [str((span.attributes or {})["db.query.text"]) for span in statements]
    for change in ("INSERT INTO orders", "UPDATE goods", "INSERT INTO outbox"):
        assert any(change in text for text in texts), change
    assert any("FROM goods" in text and ("FOR UPDATE" in text or call.services.database.is_sqlite) for text in texts)


def test_what_buyers_send_is_in_no_span(call: Calls, spans: Spans) -> None:
    item = call.create(name="item-of-the-tests", shippable=True)["id"]
    call.post("/shipping-methods", "operator", json={"code": "post", "name": "Post", "currency": "CNY", "base_fee": 5})
    address = {"name": "Name-Of-The-Tests", "phone": "+86 13800000000", "region": "CN-31", "line1": "Line-Of-The-Tests"}
    address |= {"postcode": "200000"}
    body = {"shipping_method": "post", "address": address}
    assert call.post(f"/seckill/{item}", USER, json=body, headers={"Idempotency-Key": KEY}).status_code == 201
    assert call.get("/goods?q=query-of-the-tests", USER).status_code == 200
    exported = "".join(span.to_json() for span in spans.all)
    assert "INSERT INTO orders" in exported
    assert "of-the-tests" not in exported.lower()


@pytest.mark.parametrize(
    ("name", "step"), [(BATCH, "set_attribute"), (BATCH, "end"), ("COMMIT", "end"), (REQUEST, "set_attributes")]
)
def test_a_span_that_fails_once_the_batch_is_committed_changes_no_outcome(
    call: Calls, monkeypatch: pytest.MonkeyPatch, name: str, step: str
) -> None:
    item = call.create(stock=5)["id"]
    work = getattr(Span, step)

    def fail(span: Span, *arguments: object) -> None:
        if span.name == name:
            raise MemoryError
        work(span, *arguments)

    monkeypatch.setattr(Span, step, fail)
    call.app.wsgi_app = ByDispatcher(call.app.wsgi_app)  # type: ignore[arg-type, method-assign]
    assert call.buy(item, USER).status_code == 201
    monkeypatch.undo()
    sale = call.get(f"/goods/{item}").json
    assert (sale["stock"], sale["sold"]) == (4, 1)


def test_a_batch_is_linked_with_all_of_its_purchases(sqlite_call: Calls, spans: Spans) -> None:
    services = sqlite_call.services
    item = sqlite_call.create()["id"]
    with ThreadPoolExecutor(3) as pool:
        with services.database.sqlite_writer:  # the first is in a batch, which waits, and the others join it
            first = pool.submit(sqlite_call.post, f"/seckill/{item}", "first")
            assert eventually(lambda: services.in_progress.count(item) == 1)
            assert eventually(lambda: len(spans.named(WAIT)) == 1)
            others = [pool.submit(sqlite_call.post, f"/seckill/{item}", user) for user in ("second", "third")]
            assert eventually(lambda: services.checkout.pending == 3)
        assert [each.result().status_code for each in (first, *others)] == [201] * 3
    batch = spans.one(BATCH)
    assert (batch.attributes or {})["seckill.batch.size"] == 3
    requests = {span.context.span_id: span for span in spans.named(REQUEST)}
    assert linked(batch) == set(requests)
    assert all(linked(request) == {batch.context.span_id} for request in requests.values())
    ends = [span.end_time or 0 for span in spans.named(WAIT)]
    assert len(ends) == 3
    assert max(ends) <= (batch.end_time or 0), "who joins a batch waits no more"


def test_a_batch_has_a_span_from_the_first_purchase_on_that_is_traced(
    sqlite_call: Calls, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = sqlite_call.services
    item = sqlite_call.create()["id"]
    sampled = [False, True]
    monkeypatch.setattr(Tracer, "is_sampled", lambda tracer: sampled.pop(0) if sampled else False)
    with ThreadPoolExecutor(2) as pool:
        with services.database.sqlite_writer:
            first = pool.submit(sqlite_call.post, f"/seckill/{item}", "first")
            assert eventually(lambda: services.checkout.pending == 1)
            second = pool.submit(sqlite_call.post, f"/seckill/{item}", "second")
            assert eventually(lambda: services.checkout.pending == 2)
        assert [each.result().status_code for each in (first, second)] == [201, 201]
    batch = spans.one(BATCH)
    assert (batch.attributes or {})["seckill.batch.size"] == 2
    assert linked(batch) == {spans.one(REQUEST).context.span_id}


def test_a_refusal_tells_its_code(sqlite_call: Calls, spans: Spans) -> None:
    item = sqlite_call.create(per_user_limit=1)["id"]
    assert sqlite_call.post(f"/seckill/{item}", USER, json={"quantity": 2}).status_code == 409
    request = spans.one(REQUEST)
    assert (request.attributes or {})["seckill.code"] == "limit_reached"
    assert request.status.status_code is StatusCode.UNSET


def test_a_purchase_without_a_slot_waits_again(call: Calls, spans: Spans) -> None:
    database = call.services.database
    if database.is_sqlite:
        pytest.skip("one writer at a time: no slot is ever taken")
    item = call.create(order_limit=1)["id"]
    assert call.post(f"/seckill/{item}", "first").status_code == 201
    with ThreadPoolExecutor(1) as pool:
        with database.engine.connect() as holder, holder.begin():
            holder.exec_driver_sql(f"SELECT * FROM purchase_slots WHERE goods_id = {item} FOR UPDATE")
            second = pool.submit(call.post, f"/seckill/{item}", "second")
            assert eventually(lambda: len(spans.named(BATCH)) >= 3)
        assert second.result().status_code == 201
    request = next(span for span in spans.named(REQUEST) if len(linked(span)) > 1)
    waits = spans.within(request)
    assert [span.name for span in waits] == [WAIT] * len(linked(request))


def test_a_key_at_a_closed_sale_is_looked_up(sqlite_call: Calls, spans: Spans) -> None:
    item = sqlite_call.create(stock=1)["id"]
    headers = {"Idempotency-Key": KEY}
    bought = sqlite_call.post(f"/seckill/{item}", USER, headers=headers)

    def is_looked_up() -> bool:  # and no purchase: once the sale cache knows that the item is sold out
        sqlite_call.post(f"/seckill/{item}", "late")
        assert sqlite_call.post(f"/seckill/{item}", USER, headers=headers).json == bought.json
        return bool(spans.named("key look-up"))

    assert eventually(is_looked_up)
    look_up = spans.named("key look-up")[-1]
    assert spans.named(REQUEST)[-1].context.span_id in linked(look_up)
    texts = [str((span.attributes or {}).get("db.query.text")) for span in spans.within(look_up)]
    assert any("idempotency_key" in text for text in texts)


def test_a_read_of_an_item_leads_to_the_statement_that_served_it(call: Calls, spans: Spans) -> None:
    item = call.create()["id"]
    assert call.get(f"/goods/{item}").status_code == 200
    request, read = spans.one("GET /goods/<goods_id>"), spans.one("item read")
    assert (linked(request), linked(read)) == ({read.context.span_id}, {request.context.span_id})
    assert dict(read.attributes or {}) == {"seckill.items": 1}
    texts = [str((span.attributes or {})["db.query.text"]) for span in spans.within(read)]
    assert any("FROM goods" in text.replace("\n", " ") for text in texts), texts


def test_a_read_that_nobody_waits_for_has_no_span(
    sqlite_call: Calls, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = sqlite_call.create()["id"]
    # However long this thread stands still.
    monkeypatch.setattr(sqlite_call.services.sale_cache, "quiet_reads", NEVER_QUIET)
    sqlite_call.services.sale_cache.hot_requests = 1
    statuses = [sqlite_call.get(f"/goods/{item}").status_code for _ in range(20)]
    assert statuses == [200] * 20
    reads = spans.named("item read")
    waited = {span.context.span_id for span in spans.named("GET /goods/<goods_id>") if span.links}
    assert len(waited) < 20, "each one waited for a read of its own"
    assert set().union(*map(linked, reads)) == waited
    assert sqlite_call.services.sale_cache.watching


def test_the_pieces_of_an_export_have_their_statements(
    call: Calls, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_list, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(csv_text, "PIECE_CHARACTERS", 1)
    item = call.create()["id"]
    for number in range(5):
        call.bought(item, f"buyer-{number}")
    assert call.get("/orders/export", "operator").text.count("\n") == 1 + 5
    statements = spans.within(spans.one("GET /orders/export"))
    texts = [str((span.attributes or {}).get("db.query.text")).replace("\n", " ") for span in statements]
    # Of three pages; the first alone has one or two.
    assert sum("FROM orders" in text for text in texts) >= 3, texts


def test_a_read_that_flask_answers_has_its_statements(call: Calls, spans: Spans) -> None:
    assert call.get("/goods?limit=5").status_code == 200
    (statement, *_) = [span for span in spans.within(spans.one("GET /goods")) if span.name == "SELECT"]
    system = "sqlite" if call.services.database.is_sqlite else "mysql"
    assert (statement.attributes or {})["db.system.name"] == system
