"""Webhooks in the console: the secret that is shown once, the log, and retries."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from harness.eventually import eventually
from harness.receiver import receiving, status
from tests.e2e.console.shop import Shop

Open = Callable[..., Page]


def test_webhook_is_made_and_its_secret_is_shown_once(shop: Shop, open_console: Open) -> None:
    page = open_console("/admin/webhooks/new")
    page.get_by_label("Address").fill("http://127.0.0.1:9/made")
    page.get_by_label("Order paid").check()
    page.get_by_role("button", name="Create").dblclick()

    secret = page.get_by_label("Secret", exact=True).get_by_text("whsec_")
    expect(page.locator("code")).to_contain_text("whsec_")
    page.get_by_role("link", name="I have kept it").click()
    expect(page.get_by_label("Address")).to_have_value("http://127.0.0.1:9/made")
    page.reload()
    expect(page.get_by_label("Address")).to_have_value("http://127.0.0.1:9/made")
    expect(secret).to_have_count(0)
    made = [one for one in shop.call("GET", "/webhooks?limit=100")["items"] if one["url"].endswith("/made")]
    assert [one["types"] for one in made] == [["order.paid"]]


def test_address_that_nothing_may_be_sent_to_is_told_at_its_field(open_console: Open) -> None:
    page = open_console("/admin/webhooks/new")
    page.get_by_label("Address").fill("https://user:password@shop.example/")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("Address")).to_have_attribute("aria-invalid", "true")


def test_delivery_that_failed_is_sent_again(shop: Shop, open_console: Open) -> None:
    goods_id = shop.put_up("Delivered")["id"]
    with receiving() as subscriber:
        subscriber.act = status(410)
        webhook = shop.call("POST", "/webhooks", json={"url": f"{subscriber.url}/hook", "types": ["order.placed"]})
        shop.buy(goods_id)
        assert eventually(lambda: subscriber.received)
        page = open_console(f"/admin/webhooks/{webhook['id']}")
        row = page.locator("[data-delivery-id]")
        assert eventually(lambda: page.get_by_role("button", name="Refresh").click() or row.first.is_visible())

        subscriber.act = status(204)
        shop.call("PATCH", f"/webhooks/{webhook['id']}", user="rival", json={"active": True})
        before = len(subscriber.received)
        page.get_by_role("button", name="Retry evt_").first.dblclick()
        assert eventually(lambda: len(subscriber.received) > before)

        def is_delivered() -> bool:
            page.get_by_role("button", name="Refresh").click()
            return page.locator("[data-delivery-id][data-status='delivered']").count() == 1

        assert eventually(is_delivered)
        assert len(subscriber.received) == before + 1


def test_secret_is_rotated_and_shown_once(shop: Shop, open_console: Open) -> None:
    webhook = shop.call("POST", "/webhooks", json={"url": "http://127.0.0.1:9/rotated"})
    page = open_console(f"/admin/webhooks/{webhook['id']}")
    page.get_by_role("button", name="Rotate secret").click()
    page.get_by_label("The old one stays valid for").select_option("1")
    page.get_by_role("button", name="Make a new secret").dblclick()

    expect(page.locator("code")).to_contain_text("whsec_")
    assert page.locator("code").inner_text() != webhook["secret"]
    page.get_by_role("button", name="I have kept it").click()
    expect(page.get_by_text("The old secret is valid until")).to_be_visible()
    expect(page.get_by_text("whsec_")).to_have_count(0)
    assert shop.call("GET", f"/webhooks/{webhook['id']}")["version"] == 2


def test_subscription_is_ended_after_a_question(shop: Shop, open_console: Open) -> None:
    webhook = shop.call("POST", "/webhooks", json={"url": "http://127.0.0.1:9/ended"})
    page = open_console(f"/admin/webhooks/{webhook['id']}")
    page.get_by_role("button", name="Delete webhook").click()
    page.get_by_role("button", name="Delete this webhook").click()
    expect(page.get_by_role("heading", name="Webhooks", level=1)).to_be_visible()
    assert webhook["id"] not in [one["id"] for one in shop.call("GET", "/webhooks?limit=100")["items"]]
