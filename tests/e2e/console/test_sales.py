"""Sales in the console: creating, editing, and two who edit at once."""

from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from tests.e2e.console.shop import Shop

Open = Callable[..., Page]


def _fill(page: Page, **fields: str) -> None:
    for label, text in fields.items():
        page.get_by_label(label.replace("_", " "), exact=False).first.fill(text)


def test_sale_is_created_in_the_zone_of_the_operator(shop: Shop, open_console: Open) -> None:
    page = open_console("/admin/sales/new")
    expect(page.get_by_text("In your time zone, Asia/Shanghai (UTC+08:00)").first).to_be_visible()

    _fill(page, Name="Green tea 绿茶", Price="199.50", Stock="100", Limit_per_user="2")
    page.get_by_label("Starts").fill("2030-11-11T20:00:00")
    page.get_by_role("button", name="Create").click()

    expect(page.get_by_role("heading", name="Green tea 绿茶", level=1)).to_be_visible()
    goods = shop.goods(int(page.url.rsplit("/", 1)[1]))
    assert goods["price"] == 19950
    assert goods["stock"] == 100
    assert goods["per_user_limit"] == 2
    assert goods["starts_at"] == "2030-11-11T12:00:00.000Z"


def test_what_is_wrong_is_told_as_one_types_and_nothing_is_sent(shop: Shop, open_console: Open) -> None:
    page = open_console("/admin/sales/new")
    page.get_by_label("Price").first.fill("1.999")
    expect(page.get_by_text("Enter an amount")).to_be_visible()
    page.get_by_label("Currency").fill("JPY")
    page.get_by_label("Price").first.fill("1.9")
    expect(page.get_by_text("Enter an amount")).to_be_visible()
    page.get_by_label("Price").first.fill("1999")
    expect(page.get_by_text("Enter an amount")).to_have_count(0)

    page.get_by_role("button", name="Create").click()

    expect(page.get_by_role("alert")).to_contain_text("Some fields need your attention")
    expect(page.get_by_label("Name")).to_be_focused()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")


def test_what_only_the_service_knows_to_be_wrong_is_shown_at_its_field(open_console: Open) -> None:
    page = open_console("/admin/sales/new")
    _fill(page, Name="Tea\u202e", Price="1", Stock="1", Currency="ABC")
    page.get_by_role("button", name="Create").click()

    currency = page.get_by_label("Currency")
    expect(currency).to_have_attribute("aria-invalid", "true")
    expect(currency).to_have_accessible_description(
        "Three letters. It cannot be changed later. This is no ISO 4217 currency code."
    )
    expect(page.get_by_label("Name")).to_have_accessible_description(
        "The text has an invisible or direction-changing character."
    )

    currency.fill("CNY")
    expect(currency).not_to_have_attribute("aria-invalid", "true")


def test_double_press_creates_one_sale(shop: Shop, open_console: Open) -> None:
    page = open_console("/admin/sales/new")
    _fill(page, Name="Pressed twice", Price="1", Stock="1")
    page.get_by_role("button", name="Create").dblclick()

    expect(page.get_by_role("heading", name="Pressed twice", level=1)).to_be_visible()
    assert shop.names().count("Pressed twice") == 1


def test_lost_answer_creates_one_sale(shop: Shop, open_console: Open) -> None:
    page = open_console("/admin/sales/new")
    keys = []

    def lose_the_first(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 1:
            return route.continue_()
        route.fetch()  # the service has done it; nobody hears
        return route.abort()

    page.route("**/goods", lose_the_first)
    _fill(page, Name="Answer lost", Price="1", Stock="1")
    page.get_by_role("button", name="Create").click()

    expect(page.get_by_role("heading", name="Answer lost", level=1)).to_be_visible()
    assert len(keys) == 2
    assert keys[0] == keys[1]
    assert shop.names().count("Answer lost") == 1


def test_two_who_edit_at_once_see_the_difference(shop: Shop, open_console: Open) -> None:
    goods = shop.put_up("Contended", price=10000)
    page = open_console(f"/admin/sales/{goods['id']}/edit")
    _fill(page, Name="Mine", Price="90")
    shop.call("PATCH", f"/goods/{goods['id']}", user="rival", json={"price": 8000, "per_user_limit": 3})

    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("heading", name="Somebody else changed this meanwhile")).to_be_visible()
    page.get_by_role("button", name="Save these choices").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a value")
    assert shop.goods(goods["id"])["price"] == 8000
    page.get_by_role("radio", name="Use yours for Price: CN¥90.00").check()
    page.get_by_role("button", name="Save these choices").click()

    expect(page.get_by_role("heading", name="Mine", level=1)).to_be_visible()
    saved = shop.goods(goods["id"])
    assert (saved["name"], saved["price"], saved["per_user_limit"]) == ("Mine", 9000, 3)


def test_changes_of_mine_can_be_given_up(shop: Shop, open_console: Open) -> None:
    goods = shop.put_up("Given up")
    page = open_console(f"/admin/sales/{goods['id']}/edit")
    _fill(page, Name="Mine")
    shop.call("PATCH", f"/goods/{goods['id']}", user="rival", json={"name": "Theirs"})
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Discard my changes").click()

    expect(page.get_by_role("heading", name="Theirs", level=1)).to_be_visible()
    assert shop.goods(goods["id"])["name"] == "Theirs"


def test_edit_sends_only_what_was_changed(shop: Shop, open_console: Open) -> None:
    goods = shop.put_up("Edited", starts_at="2030-01-01T00:00:00.123Z", description="Two\nlines")
    page = open_console(f"/admin/sales/{goods['id']}/edit")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text="Nothing was changed")).to_be_visible()

    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        _fill(page, Price="5")
        page.get_by_role("button", name="Save").click()
    assert sent.value.post_data_json == {"price": 500}
    assert sent.value.headers["if-match"] == '"1"'
    expect(page.get_by_role("heading", name="Edited", level=1)).to_be_visible()
    assert shop.goods(goods["id"])["starts_at"] == "2030-01-01T00:00:00.123Z"


def test_sales_are_searched_and_filtered(shop: Shop, open_console: Open) -> None:
    shop.put_up("Needle in a haystack")
    page = open_console()
    page.get_by_label("Name contains").fill("needle")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)

    page.get_by_label("State").select_option("ended")
    expect(page.get_by_text("No sale fits.")).to_be_visible()
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(1)
