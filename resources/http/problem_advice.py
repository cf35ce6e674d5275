"""What to do about each error code: for whoever writes a client, and for whoever runs the service.

Shown on the pages under `/problems/`, and by nothing else. `operator` is None where the answer is the caller's alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core import refusals as codes
from resources.http.problems import Text


@dataclass(frozen=True)
class Advice:
    client: Text
    operator: Text | None = None


_SHOW_AS_ENDED = Text(
    "Show that it is over and stop asking: the answer does not change by itself.",
    "显示已结束并停止请求：结果不会自行改变。",
)
_NO_SUCH = Text(
    "Check the address. What belongs to somebody else is answered in the same way.",
    "请检查地址。属于他人的资源也返回相同结果。",
)

ADVICE: Mapping[str, Advice] = {
    codes.MALFORMED_JSON: Advice(
        Text(
            "Send one JSON object in UTF-8, each field once.", "请发送一个 UTF-8 编码的 JSON 对象，每个字段只出现一次。"
        )
    ),
    codes.BAD_REQUEST: Advice(
        Text("Correct the request; sending it again changes nothing.", "请修正请求，重复发送无效。")
    ),
    codes.UNAUTHENTICATED: Advice(
        Text(
            "Get a new token and send the same request again, with the same Idempotency-Key.",
            "请获取新令牌，并用相同的 Idempotency-Key 重新发送同一请求。",
        ),
        Text(
            "If every token is refused: compare SECRET_KEY with the key that signs, and the clocks of both hosts. "
            "`flask token` makes a token that must work.",
            "若所有令牌均被拒绝：请核对 SECRET_KEY 与签名密钥以及两端时钟。`flask token` 生成的令牌应当有效。",
        ),
    ),
    codes.FORBIDDEN: Advice(
        Text(
            "Do not offer this to buyers: it takes an administrator's token.", "不要向买家提供此操作：需要管理员令牌。"
        ),
        Text("An administrator's token has `admin` in its `scope`.", "管理员令牌的 `scope` 须包含 `admin`。"),
    ),
    codes.NOT_FOUND: Advice(
        Text("Check the address.", "请检查地址。"),
        Text(
            "Some routes are there only with a setting: `/orders/{order_no}/pay` where PAYMENT_PROVIDER is `test`, "
            "`/payments/webhook` with PAYMENT_WEBHOOK_SECRETS, pages as PAGES says.",
            "部分路由取决于设置：`/orders/{order_no}/pay` 需 PAYMENT_PROVIDER 为 `test`，"
            "`/payments/webhook` 需 PAYMENT_WEBHOOK_SECRETS，页面取决于 PAGES。",
        ),
    ),
    codes.GOODS_NOT_FOUND: Advice(_NO_SUCH),
    codes.ORDER_NOT_FOUND: Advice(_NO_SUCH),
    codes.COUPON_NOT_FOUND: Advice(_NO_SUCH),
    codes.SHIPPING_METHOD_NOT_FOUND: Advice(_NO_SUCH),
    codes.METHOD_NOT_ALLOWED: Advice(
        Text("Use one of the methods that the header Allow names.", "请使用 Allow 响应头列出的方法。")
    ),
    codes.BODY_TOO_LARGE: Advice(Text("Send less: no request needs 64 KiB.", "请减小请求体：没有请求需要 64 KiB。")),
    codes.UNSUPPORTED_MEDIA_TYPE: Advice(
        Text(
            "Send `Content-Type: application/json`, uncompressed.", "请发送未压缩的 `Content-Type: application/json`。"
        )
    ),
    codes.SALE_NOT_STARTED: Advice(
        Text(
            "Count down to `starts_at` by the clock of the service, and enable the button then.",
            "按服务器时钟倒计时至 `starts_at`，届时再启用按钮。",
        ),
        Text(
            "`POST /goods/{id}/start` begins a sale at once. Hosts' clocks do not matter: the database's decides.",
            "`POST /goods/{id}/start` 可立即开始。以数据库时钟为准，与主机时钟无关。",
        ),
    ),
    codes.SALE_ENDED: Advice(
        _SHOW_AS_ENDED, Text("A later `ends_at` opens the sale again.", "将 `ends_at` 改为更晚的时间可重新开放活动。")
    ),
    codes.SALE_PAUSED: Advice(
        Text("Show it, and go on asking for the live state.", "请提示用户，并继续查询实时状态。"),
        Text("`POST /goods/{id}/resume` goes on with the sale.", "`POST /goods/{id}/resume` 可恢复活动。"),
    ),
    codes.SOLD_OUT: Advice(
        Text(
            "Show it, and go on asking for the live state: units of unpaid orders come back.",
            "请提示用户，并继续查询实时状态：未支付订单的库存会退回。",
        ),
        Text("`stock_delta` puts more units on sale.", "可用 `stock_delta` 追加库存。"),
    ),
    codes.INSUFFICIENT_STOCK: Advice(
        Text(
            "Offer `available` units, as a new purchase with a new key.",
            "可提示剩余 `available` 件，并以新的幂等键购买。",
        )
    ),
    codes.LIMIT_REACHED: Advice(
        Text(
            "Show `limit` and `already_bought`. A cancelled order gives the room back.",
            "请显示 `limit` 与 `already_bought`。取消订单可恢复额度。",
        ),
        Text("The limit is the item's `per_user_limit`.", "限购数量即商品的 `per_user_limit`。"),
    ),
    codes.PRICE_CHANGED: Advice(
        Text(
            "Show the new `quote`, and buy with its `total` if the buyer agrees.",
            "请显示新的 `quote`，买家同意后以其 `total` 购买。",
        )
    ),
    codes.ORDER_NOT_PENDING: Advice(
        Text("Read the order again and show its state.", "请重新读取订单并显示其状态。"),
        Text("ORDER_PAYMENT_SECONDS says how long an order can be paid.", "ORDER_PAYMENT_SECONDS 决定订单的支付时限。"),
    ),
    codes.ORDER_NOT_REFUNDABLE: Advice(
        Text("Read the order: `order_status` says why.", "请读取订单：`order_status` 说明原因。"),
        Text("Only `paid` and `refund_due` orders hold money.", "仅 `paid` 与 `refund_due` 订单持有款项。"),
    ),
    codes.PAYMENT_ALREADY_RESOLVED: Advice(
        Text("Nothing is left to do; `resolution` says what was done.", "无需再处理；`resolution` 说明处理结果。")
    ),
    codes.HAS_ORDERS: Advice(
        Text("Pause the item, or end its sale: orders keep their item.", "请暂停或结束活动：订单需要保留商品。")
    ),
    codes.STOCK_CONFLICT: Advice(
        Text("Read the item again and withdraw no more than its `stock`.", "请重新读取商品，撤回数量不得超过 `stock`。")
    ),
    codes.VERSION_MISMATCH: Advice(
        Text(
            "Read it again, show what somebody else changed, and send the change with the new version.",
            "请重新读取，显示他人所作的修改，并以新版本号提交。",
        )
    ),
    codes.VALIDATION_FAILED: Advice(
        Text(
            "Correct the fields that `errors` names; it says what each would take. The same request fails again.",
            "请按 `errors` 的说明修正字段。重复发送同一请求仍会失败。",
        )
    ),
    codes.EVENTS_PRUNED: Advice(
        Text(
            "Some events are gone: read goods and orders anew, then follow from `oldest`.",
            "部分事件已删除：请重新读取商品与订单，再从 `oldest` 继续。",
        ),
        Text("EVENTS_KEEP_DAYS says how long events are kept.", "EVENTS_KEEP_DAYS 决定事件保留天数。"),
    ),
    codes.IDEMPOTENCY_KEY_REUSED: Advice(
        Text(
            "The key belongs to an earlier request: look for its order, and use a new key for another purchase.",
            "该键属于先前的请求：请先查询其订单，新的购买请使用新的键。",
        )
    ),
    codes.INTERNAL_ERROR: Advice(
        Text(
            "Send the same request again with the same Idempotency-Key; report `request_id`.",
            "请用相同的 Idempotency-Key 重新发送同一请求，并反馈 `request_id`。",
        ),
        Text(
            "It is a bug. Find the `request_id` in the log: the trace stands there.",
            "这是程序错误。请在日志中按 `request_id` 查找。",
        ),
    ),
    codes.COUPON_INVALID: Advice(
        Text("Show the `detail`; buy without the coupon, or with another.", "请显示 `detail`；可不使用或更换优惠券。")
    ),
    codes.COUPON_EXHAUSTED: Advice(
        Text("Show the `detail`; buy without the coupon, or with another.", "请显示 `detail`；可不使用或更换优惠券。"),
        Text(
            "`total_limit` and `per_user_limit` of the coupon can be raised.",
            "可提高优惠券的 `total_limit` 与 `per_user_limit`。",
        ),
    ),
    codes.COUPON_NOT_APPLICABLE: Advice(
        Text("Show the `detail`; buy without the coupon, or with another.", "请显示 `detail`；可不使用或更换优惠券。")
    ),
    codes.SHIPPING_REQUIRED: Advice(
        Text(
            "Ask for what `reason` names; a quote lists the shipping methods.",
            "请补充 `reason` 所指的信息；报价中列出了配送方式。",
        )
    ),
    codes.SHIPPING_NOT_AVAILABLE: Advice(
        Text(
            "Ask for a quote with the address, and offer the methods that are `available`.",
            "请携带地址获取报价，并提供 `available` 的配送方式。",
        )
    ),
    codes.HOLD_COOLDOWN: Advice(
        Text("Wait `Retry-After` seconds; show the countdown.", "请等待 `Retry-After` 秒并显示倒计时。"),
        Text(
            "HOLD_STRIKES and HOLD_COOLDOWN_SECONDS say who waits, and how long.",
            "由 HOLD_STRIKES 与 HOLD_COOLDOWN_SECONDS 决定。",
        ),
    ),
    codes.RATE_LIMITED: Advice(
        Text(
            "Nothing was done. Wait `Retry-After` seconds, send the same again, and ask less often.",
            "请求未被处理。请等待 `Retry-After` 秒后重发，并降低频率。",
        ),
        Text(
            "RATE_LIMIT_PER_USER and RATE_LIMIT_PER_ADDRESS set the limits. Behind a proxy, PROXIES must be right, or "
            "all buyers share one address.",
            "由 RATE_LIMIT_PER_USER 与 RATE_LIMIT_PER_ADDRESS 决定。"
            "使用代理时须正确设置 PROXIES，否则所有买家共用一个地址。",
        ),
    ),
    codes.BUSY: Advice(
        Text(
            "Nothing was bought. Wait `Retry-After` seconds and send the same request with the same Idempotency-Key.",
            "未产生购买。请等待 `Retry-After` 秒后，用相同的 Idempotency-Key 重发同一请求。",
        ),
        Text(
            "Buyers come faster than the database settles them, or an item is stuck: look at `/live`, `/metrics` and "
            "`flask doctor`; docs/performance.md has the settings.",
            "买家到达快于数据库处理，或某商品被阻塞：请查看 `/live`、`/metrics` 与 `flask doctor`；"
            "设置见 docs/performance.md。",
        ),
    ),
    codes.UNAVAILABLE: Advice(
        Text(
            "It may or may not have been done. Wait `Retry-After` seconds and send the same request with the same "
            "Idempotency-Key: the answer then tells.",
            "请求可能已被执行。请等待 `Retry-After` 秒后，用相同的 Idempotency-Key 重发同一请求以确认结果。",
        ),
        Text(
            "The database cannot be reached or did not answer in time: look at it, and at `flask doctor`.",
            "无法连接数据库或数据库超时：请检查数据库，并运行 `flask doctor`。",
        ),
    ),
}
