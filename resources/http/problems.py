"""Every error code of the API: its status and its texts. RFC 9457 `application/problem+json` is made of them.

The codes are part of the contract: once set, they are set. `/problems/<code>` explains each to people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from core import refusals as codes
from core.json_text import to_json_bytes

MIME_TYPE = "application/problem+json"
LANGUAGES = ("en", "zh")
_LONGEST_HEADER = 300  # characters that are looked at, and remembered


@dataclass(frozen=True)
class Text:
    en: str
    zh: str

    def in_language(self, language: str) -> str:
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Problem:
    """A code's meaning. `members` are the members that its answers carry beside the common ones."""

    status: HTTPStatus
    title: Text
    detail: Text
    members: tuple[str, ...] = ()


PROBLEMS: Mapping[str, Problem] = {
    codes.MALFORMED_JSON: Problem(
        HTTPStatus.BAD_REQUEST,
        Text("Malformed JSON", "JSON 格式错误"),
        Text("The body is not a JSON object, or names a field twice.", "请求体不是合法的 JSON 对象，或字段重复。"),
    ),
    codes.BAD_REQUEST: Problem(
        HTTPStatus.BAD_REQUEST,
        Text("Bad request", "请求无效"),
        Text("The request cannot be understood.", "无法理解该请求。"),
    ),
    codes.UNAUTHENTICATED: Problem(
        HTTPStatus.UNAUTHORIZED,
        Text("Not signed in", "未登录"),
        Text(
            "A valid bearer token is needed; of a payment provider, a valid signature.",
            "需要有效的 Bearer 令牌；支付服务商则需有效签名。",
        ),
    ),
    codes.FORBIDDEN: Problem(
        HTTPStatus.FORBIDDEN,
        Text("Not allowed", "没有权限"),
        Text("Only administrators may do this.", "仅管理员可以执行此操作。"),
    ),
    codes.NOT_FOUND: Problem(
        HTTPStatus.NOT_FOUND,
        Text("Not found", "未找到"),
        Text("There is nothing at this address.", "该地址下没有内容。"),
        ("hint",),  # where a setting would offer the route
    ),
    codes.GOODS_NOT_FOUND: Problem(
        HTTPStatus.NOT_FOUND, Text("No such item", "商品不存在"), Text("There is no such item.", "没有这个商品。")
    ),
    codes.ORDER_NOT_FOUND: Problem(
        HTTPStatus.NOT_FOUND, Text("No such order", "订单不存在"), Text("There is no such order.", "没有这个订单。")
    ),
    codes.COUPON_NOT_FOUND: Problem(
        HTTPStatus.NOT_FOUND,
        Text("No such coupon", "优惠券不存在"),
        Text("There is no such coupon.", "没有这张优惠券。"),
    ),
    codes.SHIPPING_METHOD_NOT_FOUND: Problem(
        HTTPStatus.NOT_FOUND,
        Text("No such shipping method", "配送方式不存在"),
        Text("There is no such shipping method.", "没有这种配送方式。"),
    ),
    codes.METHOD_NOT_ALLOWED: Problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        Text("Method not allowed", "不支持该方法"),
        Text(
            "This address does not take this method; the Allow header names those it does.",
            "该地址不支持此方法，请参见 Allow 响应头。",
        ),
    ),
    codes.BODY_TOO_LARGE: Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        Text("Body too large", "请求体过大"),
        Text("A body has at most 64 KiB.", "请求体不得超过 64 KiB。"),
    ),
    codes.UNSUPPORTED_MEDIA_TYPE: Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        Text("Unsupported media type", "不支持的媒体类型"),
        Text(
            "The body must be application/json in UTF-8, not compressed.", "请求体须为未压缩的 UTF-8 application/json。"
        ),
    ),
    codes.SALE_NOT_STARTED: Problem(
        HTTPStatus.CONFLICT,
        Text("Sale not started", "活动未开始"),
        Text("The sale of this item has not started yet.", "该商品的活动尚未开始。"),
        ("starts_at",),
    ),
    codes.SALE_ENDED: Problem(
        HTTPStatus.CONFLICT,
        Text("Sale ended", "活动已结束"),
        Text("The sale of this item has ended.", "该商品的活动已结束。"),
    ),
    codes.SALE_PAUSED: Problem(
        HTTPStatus.CONFLICT,
        Text("Sale paused", "活动已暂停"),
        Text("The sale of this item is paused.", "该商品的活动已暂停。"),
    ),
    codes.SOLD_OUT: Problem(
        HTTPStatus.CONFLICT, Text("Sold out", "已售罄"), Text("This item is sold out.", "该商品已售罄。")
    ),
    codes.INSUFFICIENT_STOCK: Problem(
        HTTPStatus.CONFLICT,
        Text("Not enough stock", "库存不足"),
        Text("Fewer units are left than were asked for.", "剩余数量少于所需数量。"),
        ("available",),
    ),
    codes.LIMIT_REACHED: Problem(
        HTTPStatus.CONFLICT,
        Text("Limit reached", "超出限购"),
        Text("This would pass the limit of units for each buyer.", "超出每位买家的限购数量。"),
        ("limit", "already_bought"),
    ),
    codes.PRICE_CHANGED: Problem(
        HTTPStatus.CONFLICT,
        Text("Price changed", "价格已变动"),
        Text("The total is not the expected one; see the quote.", "应付金额与预期不符，请查看新的报价。"),
        ("quote",),
    ),
    codes.ORDER_NOT_PENDING: Problem(
        HTTPStatus.CONFLICT,
        Text("Order not pending", "订单不是待支付状态"),
        Text("Only a pending order allows this.", "仅待支付的订单可以执行此操作。"),
        ("order_status",),
    ),
    codes.ORDER_NOT_REFUNDABLE: Problem(
        HTTPStatus.CONFLICT,
        Text("Order not refundable", "订单不可退款"),
        Text(
            "Only the money of an order that is paid or due for a refund can be given back, once.",
            "仅已支付或待退款的订单可以退款，且只能退款一次。",
        ),
        ("order_status",),
    ),
    codes.PAYMENT_ALREADY_RESOLVED: Problem(
        HTTPStatus.CONFLICT,
        Text("Payment already resolved", "付款已处理"),
        Text(
            "Nothing is left to be done about this payment; see the resolution.",
            "该付款无需再处理，详见 resolution。",
        ),
        ("resolution",),
    ),
    codes.HAS_ORDERS: Problem(
        HTTPStatus.CONFLICT,
        Text("Item has orders", "商品已有订单"),
        Text("An item that was ordered cannot be deleted.", "已有订单的商品不能删除。"),
    ),
    codes.STOCK_CONFLICT: Problem(
        HTTPStatus.CONFLICT,
        Text("Not enough stock to withdraw", "可撤回库存不足"),
        Text("More units were to be withdrawn than are left.", "撤回数量超过剩余库存。"),
    ),
    codes.VERSION_MISMATCH: Problem(
        HTTPStatus.PRECONDITION_FAILED,
        Text("Version mismatch", "版本不一致"),
        Text("It was changed since it was read; read it again.", "内容已被修改，请重新读取。"),
    ),
    codes.VALIDATION_FAILED: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("Validation failed", "参数校验失败"),
        Text("Some fields are missing or wrong; see errors.", "部分字段缺失或有误，详见 errors。"),
        ("errors",),
    ),
    codes.EVENTS_PRUNED: Problem(
        HTTPStatus.GONE,
        Text("Events deleted", "事件已删除"),
        Text("Events after this one were deleted for their age.", "该事件之后的部分事件已因过期被删除。"),
        ("oldest",),
    ),
    codes.IDEMPOTENCY_KEY_REUSED: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("Idempotency key reused", "幂等键重复使用"),
        Text("This Idempotency-Key was used for another request.", "该 Idempotency-Key 已用于另一个请求。"),
    ),
    codes.INTERNAL_ERROR: Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        Text("Internal error", "内部错误"),
        Text("Something went wrong on our side.", "服务器发生错误。"),
    ),
    codes.COUPON_INVALID: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("Coupon not valid", "优惠券无效"),
        Text("This coupon cannot be used; see the reason.", "该优惠券无法使用，详见 reason。"),
        ("reason",),
    ),
    codes.COUPON_EXHAUSTED: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("Coupon used up", "优惠券已用完"),
        Text("This coupon cannot be used any more; see the reason.", "该优惠券已无可用次数，详见 reason。"),
        ("reason",),
    ),
    codes.COUPON_NOT_APPLICABLE: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("Coupon not applicable", "优惠券不适用"),
        Text("This coupon does not fit this purchase; see the reason.", "该优惠券不适用于本次购买，详见 reason。"),
        ("reason",),
    ),
    codes.SHIPPING_REQUIRED: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("Shipping required", "需要配送信息"),
        Text(
            "This item is shipped: a shipping method and an address are needed.",
            "该商品需要配送，请提供配送方式和收货地址。",
        ),
        ("reason",),
    ),
    codes.SHIPPING_NOT_AVAILABLE: Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        Text("Shipping not available", "无法配送"),
        Text("This shipping method cannot serve this purchase; see the reason.", "该配送方式不可用，详见 reason。"),
        ("reason",),
    ),
    codes.HOLD_COOLDOWN: Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        Text("Wait before holding again", "请稍后再抢"),
        Text(
            "Several of your orders for this item were given up; try again later.",
            "您多次放弃了该商品的订单，请稍后再试。",
        ),
    ),
    codes.RATE_LIMITED: Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        Text("Too many requests", "请求过于频繁"),
        Text("Too many requests were made; try again later.", "请求过多，请稍后再试。"),
    ),
    codes.BUSY: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        Text("Busy", "繁忙"),
        Text("Too many want this at once. Nothing was bought; try again.", "当前人数过多，未产生购买，请重试。"),
    ),
    codes.UNAVAILABLE: Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        Text("Temporarily unavailable", "暂时不可用"),
        Text(
            "The database did not answer. Send the same request again with the same Idempotency-Key: it is done once.",
            "数据库未响应。请使用相同的 Idempotency-Key 再次发送同一请求：它只会执行一次。",
        ),
    ),
}

# What `errors[].code` of validation_failed can be.
FIELD_PROBLEMS: Mapping[str, Text] = {
    "missing": Text("This field is needed.", "缺少该字段。"),
    "unknown_field": Text("There is no such field here, or it cannot be set.", "没有该字段，或该字段不可设置。"),
    "wrong_type": Text("The value is of the wrong type.", "值的类型不正确。"),
    "out_of_range": Text("The value is out of range.", "值超出范围。"),
    "too_short": Text("The text or list is too short.", "文本或列表过短。"),
    "too_long": Text("The text or list is too long.", "文本或列表过长。"),
    "invalid_value": Text("The value is not one of those allowed.", "值不在允许范围内。"),
    "invalid_format": Text("The value is not of the form required.", "值的格式不正确。"),
    "control_character": Text("The text has a control character.", "文本包含控制字符。"),
    "hidden_character": Text("The text has an invisible or direction-changing character.", "文本包含不可见字符。"),
    "blank": Text("The text has nothing to see.", "文本没有可见内容。"),
    "invalid_time": Text("The time is not RFC 3339 with an offset.", "时间须为带时区的 RFC 3339 格式。"),
    "unknown_currency": Text("This is no ISO 4217 currency code.", "不是有效的 ISO 4217 货币代码。"),
    "unknown_region": Text(
        "This is no ISO 3166 code of a country or a subdivision.", "不是有效的 ISO 3166 国家或地区代码。"
    ),
    "window_reversed": Text("The end is before the start.", "结束时间早于开始时间。"),
    "invalid_cursor": Text("The cursor is not one of this list.", "游标不属于该列表。"),
    "repeated": Text("The parameter, or an entry of the list, is given more than once.", "参数或列表条目重复。"),
    "taken": Text("This code is taken.", "该代码已被使用。"),
    "too_many": Text("There are as many as there can be.", "数量已达上限。"),
    "forbidden_target": Text(
        "Webhooks go to https addresses of the public internet alone.", "Webhook 仅可发送到公网的 https 地址。"
    ),
    "not_of_this_kind": Text("A coupon of this kind has no such value.", "该类优惠券没有此值。"),
}

# What `hint` of not_found says of a route that a setting would offer, by the setting.
NOT_OFFERED: Mapping[str, Text] = {
    "PAYMENT_PROVIDER": Text(
        "Buyers pay by this call where SECKILL_PAYMENT_PROVIDER is `test`: docs/payments.md.",
        "仅当 SECKILL_PAYMENT_PROVIDER 为 `test` 时买家可通过此接口付款，见 docs/payments.md。",
    ),
    "PAYMENT_WEBHOOK_SECRETS": Text(
        "Payments are reported here once SECKILL_PAYMENT_WEBHOOK_SECRETS is set: docs/payments.md.",
        "设置 SECKILL_PAYMENT_WEBHOOK_SECRETS 后方可在此通知付款，见 docs/payments.md。",
    ),
}

# Where the answer to such a code lies elsewhere, whatever the field.
HINTS: Mapping[str, Text] = {
    "forbidden_target": Text(
        "The setting SECKILL_WEBHOOKS_TO_PRIVATE allows private addresses and plain HTTP.",
        "设置 SECKILL_WEBHOOKS_TO_PRIVATE 可允许内网地址和明文 HTTP。",
    ),
}


def language_of(header: str) -> str:
    """The language that an `Accept-Language` header asks for: `zh`, or `en` for all others."""
    return _language_of(header[:_LONGEST_HEADER])


@lru_cache(maxsize=1000)  # browsers send few different ones
def _language_of(header: str) -> str:
    for tag, quality in parse_accept_header(header, LanguageAccept):  # best first
        primary = tag.lower().partition("-")[0]
        if primary in LANGUAGES and quality > 0:
            return str(primary)
    return "en"


def problem_json(code: str, spoken: str, request_id: str, detail: Text, **members: Any) -> bytes:
    """The body for `code` in the language `spoken`."""
    known = PROBLEMS[code]
    body: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": known.title.in_language(spoken),
        "status": int(known.status),
        "code": code,
        "detail": detail.in_language(spoken),
        "request_id": request_id,
    }
    if "errors" in members:
        members["errors"] = [_field_error(error, spoken) for error in members["errors"]]
    if "hint" in members:
        members["hint"] = NOT_OFFERED[members["hint"]].in_language(spoken)
    return to_json_bytes(body | {name: value for name, value in members.items() if name in known.members})


def _field_error(error: Mapping[str, Any], spoken: str) -> dict[str, Any]:
    """An entry of `errors[]`, with its texts."""
    texts = {"detail": FIELD_PROBLEMS[error["code"]], "hint": error.get("hint") or HINTS.get(error["code"])}
    return {**error, **{name: text.in_language(spoken) for name, text in texts.items() if text is not None}}
