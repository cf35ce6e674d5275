"""What visitors read, in English and Chinese. Pages and scripts both take it from here (`for_scripts`).

`{name}` stands for a value. Codes of refusals have a text of their own here where the API's would not do for a buyer.
"""

import json
from collections.abc import Mapping
from functools import cache

from resources.http.problems import LANGUAGES, PROBLEMS, Text
from resources.http.reasons import REASONS

OTHER = {"en": "zh", "zh": "en"}
LANGUAGE_NAMES = {"en": "English", "zh": "中文"}

PAGES = {
    "shop": Text("Flash sale", "秒杀"),
    "tagline": Text("A few units, one moment.", "限量好物，准点开抢。"),
    "skip": Text("Skip to content", "跳到正文"),
    "goods": Text("Goods", "商品"),
    "my_orders": Text("My orders", "我的订单"),
    "page_navigation": Text("Pages", "页面"),
    "section.on_sale": Text("On sale now", "正在热卖"),
    "section.upcoming": Text("Coming up", "即将开始"),
    "section.over": Text("Sold out or over", "已售罄或已结束"),
    "no_goods": Text("There is nothing on sale yet.", "暂无商品。"),
    "more_goods": Text("More goods", "更多商品"),
    "list_price": Text("List price", "原价"),
    "price": Text("Price", "秒杀价"),
    "per_buyer": Text("At most {n} per buyer", "每人限购 {n} 件"),
    "back_to_goods": Text("All goods", "全部商品"),
    "quantity": Text("Quantity", "数量"),
    "coupon": Text("Coupon", "优惠券"),
    "coupon_hint": Text("If you have one", "选填"),
    "shipping": Text("Shipping", "配送"),
    "shipping_method": Text("Shipping method", "配送方式"),
    "address.name": Text("Name", "收货人"),
    "address.phone": Text("Phone", "电话"),
    "address.region": Text("Region", "地区"),
    "address.line1": Text("Address", "详细地址"),
    "address.line2": Text("Address line 2", "地址补充"),
    "address.postcode": Text("Postcode", "邮政编码"),
    "optional": Text("optional", "选填"),
    "choose": Text("Please choose", "请选择"),
    "china": Text("China", "中国"),
    "countries": Text("Countries and regions", "国家和地区"),
    "your_price": Text("Your price", "应付明细"),
    "subtotal": Text("Subtotal", "小计"),
    "discount": Text("Discount", "优惠"),
    "shipping_fee": Text("Shipping", "运费"),
    "total": Text("Total", "合计"),
    "buy": Text("Buy", "抢购"),
    "update_price": Text("Update the price", "更新价格"),
    "reload": Text("Load the latest state", "刷新最新状态"),
    "sign_in": Text("Sign in", "登录"),
    "sign_out": Text("Sign out", "退出"),
    "signed_in_as": Text("Signed in as {name}", "已登录：{name}"),
    "your_name": Text("Your name", "您的名字"),
    "demo_sign_in": Text("This is a demo: any name will do.", "演示环境：任意名字即可登录。"),
    "host_sign_in": Text(
        "The site that you came from signs you in. Open this page from there once more.",
        "请从您来时的网站登录，然后由该网站再次打开本页面。",
    ),
    "have_token": Text("I have a token", "我有令牌"),
    "token": Text("Token", "令牌"),
    "sign_in_to_buy": Text("Sign in before the sale starts.", "请在开抢前登录。"),
    "sign_in_to_see": Text("Sign in to see your orders.", "登录后查看您的订单。"),
    "orders_empty": Text("You have no orders yet.", "您还没有订单。"),
    "older_orders": Text("Older orders", "更早的订单"),
    "newest_orders": Text("Newest orders", "最新订单"),
    "order_no": Text("Order number", "订单号"),
    "item": Text("Item", "商品"),
    "bought_at": Text("Bought", "下单时间"),
    "state": Text("State", "状态"),
    "actions": Text("Actions", "操作"),
    "starts_at": Text("Starts", "开始时间"),
    "ends_at": Text("Ends", "结束时间"),
    "pay_by": Text("To be paid by", "支付截止"),
    "pay": Text("Pay", "支付"),
    "cancel": Text("Cancel", "取消"),
    "details": Text("Details", "详情"),
    "ship_to": Text("Ship to", "收货信息"),
    "paid_at": Text("Paid", "支付时间"),
    "refunded_at": Text("Refunded", "退款时间"),
    "error_title": Text("This did not work", "出错了"),
    "error.forged": Text(
        "This form is out of date, or did not come from this page. Please try once more.",
        "表单已过期，或并非来自本页面，请再试一次。",
    ),
}

# Texts of scripts as well.
SHARED = {
    "status.on_sale": Text("On sale", "抢购中"),
    "status.upcoming": Text("Upcoming", "未开始"),
    "status.sold_out": Text("Sold out", "已售罄"),
    "status.paused": Text("Paused", "已暂停"),
    "status.ended": Text("Ended", "已结束"),
    "order.pending": Text("To be paid", "待支付"),
    "order.paid": Text("Paid", "已支付"),
    "order.cancelled": Text("Cancelled", "已取消"),
    "order.expired": Text("Expired", "已过期"),
    "order.refund_due": Text("Refund due", "待退款"),
    "order.refunded": Text("Refunded", "已退款"),
    "left": Text("{n} left", "剩余 {n} 件"),
    "none_left": Text("None left", "已抢光"),
    "sold_share": Text("{n} % sold", "已售 {n}%"),
    "starts_in": Text("Starts in", "距开始"),
    "ends_in": Text("Ends in", "距结束"),
    "pay_within": Text("Time left to pay", "剩余支付时间"),
    "days": Text("{n} d", "{n} 天"),
    "said.start": Text("The sale starts in {time}.", "距开始还有 {time}。"),
    "said.end": Text("The sale ends in {time}.", "距结束还有 {time}。"),
    "said.minutes": Text("{n} min", "{n} 分钟"),
    "said.seconds": Text("{n} s", "{n} 秒"),
    "said.started": Text("The sale is open.", "已开始，可以抢购。"),
    "said.over": Text("The sale is over.", "活动已结束。"),
    "buying": Text("Buying …", "正在抢购……"),
    "in_line": Text("You are in line. Please keep this page open.", "正在排队，请不要关闭页面。"),
    "again_in": Text("{why} Trying again in {n} s.", "{why}{n} 秒后自动重试。"),
    "why.busy": Text("Very many are buying.", "当前抢购人数较多。"),
    "why.unavailable": Text("The service did not answer.", "服务暂时没有响应。"),
    "why.offline": Text("The connection is lost.", "网络已断开。"),
    "why.rate_limited": Text("Too many requests.", "请求过于频繁。"),
    "offline": Text("You are offline. What you see may be out of date.", "您已离线，页面内容可能不是最新的。"),
    "price_unknown": Text("The price is worked out when you buy.", "下单时计算价格。"),
    "sign_in_for_price": Text("Sign in to see the exact total.", "登录后显示准确金额。"),
    "free": Text("free", "免运费"),
    "working": Text("One moment …", "请稍候……"),
    "time_over": Text("Time is over", "已超时"),
    "outcome.bought": Text("It is yours. Please pay {total} by {time}.", "抢到了！请在 {time} 前支付 {total}。"),
    "outcome.bought_paid": Text("It is yours, and nothing is left to be paid.", "抢到了！无需支付。"),
    "outcome.bought_other": Text("You had bought this before: see the order.", "您已经买过：请查看订单。"),
    "see_order": Text("See the order", "查看订单"),
    "outcome.paid": Text("Paid. Thank you.", "支付成功，谢谢。"),
    "outcome.cancelled": Text("The order is cancelled.", "订单已取消。"),
    "outcome.sold_out": Text(
        "Sold out. Units come back when others do not pay: it can be worth another try.",
        "已售罄。若有人未支付，商品会重新上架，不妨稍后再试。",
    ),
    "outcome.insufficient_stock": Text("Only {available} left. Choose fewer.", "仅剩 {available} 件，请减少数量。"),
    "outcome.sale_not_started": Text("The sale has not started yet.", "活动尚未开始。"),
    "outcome.sale_ended": Text("The sale is over.", "活动已结束。"),
    "outcome.sale_paused": Text("The sale is paused. It may go on any moment.", "活动暂停，可能随时恢复。"),
    "outcome.limit_reached": Text(
        "At most {limit} per buyer. You already have {already_bought}.",
        "每人限购 {limit} 件，您已有 {already_bought} 件。",
    ),
    "outcome.price_changed": Text(
        "The price has changed. Nothing was bought: look at the new total, and buy again if you like.",
        "价格已变动，未产生购买。请确认新的金额后再次抢购。",
    ),
    "outcome.hold_cooldown": Text(
        "You gave up several orders for this item. You can buy again in {retry_after} s.",
        "您多次放弃该商品的订单，请在 {retry_after} 秒后再试。",
    ),
    "outcome.rate_limited": Text(
        "That was too often. Please try again in {retry_after} s.", "操作过于频繁，请在 {retry_after} 秒后再试。"
    ),
    "outcome.busy": Text(
        "Very many are buying, and your turn did not come. Nothing was bought. Please try again.",
        "抢购人数过多，未轮到您，未产生购买。请再试一次。",
    ),
    "outcome.unavailable": Text(
        "The service did not answer. Press Buy again: you will not buy twice.",
        "服务没有响应。请再次点击抢购：不会重复下单。",
    ),
    "outcome.offline": Text(
        "The connection is lost. Press Buy again when it is back: you will not buy twice.",
        "网络已断开。恢复后请再次点击抢购：不会重复下单。",
    ),
    "outcome.user_changed": Text(
        "Somebody else has signed in here. Look at your orders before you buy again.",
        "此处已由他人登录。再次抢购前请先查看您的订单。",
    ),
    "outcome.unauthenticated": Text("Please sign in first.", "请先登录。"),
    "outcome.shipping_required": Text(
        "This item is shipped. Please choose how, and where to.", "该商品需要配送，请选择配送方式并填写地址。"
    ),
    "outcome.idempotency_key_reused": Text(
        "This form was used before. Look at your orders, and press Buy again if you want one more.",
        "该表单已使用过。请先查看您的订单；如需再买，请再次点击抢购。",
    ),
    "outcome.order_not_pending": Text("The order has changed meanwhile.", "订单状态已变化。"),
    "outcome.validation_failed": Text("Please check the fields that are marked.", "请检查标出的内容。"),
    "outcome.internal_error": Text(
        "Something went wrong on our side. Press Buy again: you will not buy twice.",
        "服务器出错。请再次点击抢购：不会重复下单。",
    ),
}


def text(key: str, language: str, **values: object) -> str:
    """The text for `key`, with its values. Raises KeyError for a key that is not there."""
    found = SHARED.get(key) or PAGES[key]
    return found.in_language(language).format(**values)


def outcome_text(code: str, language: str, details: Mapping[str, object]) -> str:
    """What the refusal `code` is to a buyer, in plain words."""
    reasons = REASONS.get(code, {})
    reason = reasons.get(str(details.get("reason")))
    if reason is not None:
        return reason.in_language(language)
    own = SHARED.get(f"outcome.{code}")
    if own is None:
        return PROBLEMS[code].detail.in_language(language) if code in PROBLEMS else text("error_title", language)
    return own.in_language(language).format_map(_Known(details))


class _Known(dict[str, object]):
    """The members of a problem. One that is missing is left out of its text."""

    def __missing__(self, key: str) -> str:
        return "?"


@cache
def for_scripts(language: str) -> str:
    """The texts of scripts, as JSON that may stand within HTML."""
    texts = {key: shown.in_language(language) for key, shown in SHARED.items()}
    for code, reasons in REASONS.items():
        texts |= {f"reason.{code}.{reason}": shown.in_language(language) for reason, shown in reasons.items()}
    for code, problem in PROBLEMS.items():
        texts.setdefault(f"outcome.{code}", problem.detail.in_language(language))
    plain = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
    return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


__all__ = ["LANGUAGES", "LANGUAGE_NAMES", "OTHER", "for_scripts", "outcome_text", "text"]
