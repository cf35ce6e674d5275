"""The texts of each finding of the readiness list, in each language: what was found, and how to mend it."""

from collections.abc import Mapping
from typing import NamedTuple

from resources.http.problems import Text

TITLES: Mapping[str, Text] = {
    "window": Text("Window", "销售时段"),
    "stock": Text("Stock", "库存"),
    "price": Text("Price", "价格"),
    "limit": Text("Limit for each buyer", "每人限购"),
    "order_limit": Text("Concurrent purchase transactions", "并发下单事务数"),
    "shipping": Text("Shipping", "配送"),
    "payment": Text("Payment", "支付"),
    "clock": Text("Clocks", "时钟"),
    "durability": Text("Durability", "数据持久性"),
    "workers": Text("Workers", "工作进程"),
    "answers": Text("Pages and API", "页面与接口"),
    "audit": Text("Audit", "审计"),
}
_NOTHING = Text("", "")


class FindingText(NamedTuple):
    """Texts with the finding's values in braces."""

    found: Text
    mend: Text = _NOTHING


FINDINGS: Mapping[str, FindingText] = {
    "upcoming": FindingText(
        Text("Opens {starts_at}, in {wait}; no end.", "将于 {starts_at} 开始（{wait}后），无结束时间。")
    ),
    "upcoming_until": FindingText(
        Text("Opens {starts_at}, in {wait}; ends {ends_at}.", "将于 {starts_at} 开始（{wait}后），{ends_at} 结束。")
    ),
    "open": FindingText(Text("Open since {starts_at}.", "已于 {starts_at} 开始。")),
    "no_start": FindingText(
        Text("No start is set: it is on sale already.", "未设置开始时间：商品已在售。"),
        Text("Set `starts_at`, or pause the sale until it is to begin.", "请设置 starts_at，或在开始前先暂停销售。"),
    ),
    "ended": FindingText(
        Text("It ended {ends_at}: buyers are told so.", "已于 {ends_at} 结束，买家会看到“已结束”。"),
        Text("Move `ends_at` to a later moment.", "请将 ends_at 改到更晚的时间。"),
    ),
    "paused": FindingText(
        Text("Paused: buyers are told so until it is resumed.", "已暂停：恢复之前买家会看到“已暂停”。"),
        Text("Resume the sale when it is to begin.", "需要开始时请恢复销售。"),
    ),
    "stock": FindingText(Text("{stock} units, {sold} sold so far.", "库存 {stock} 件，已售 {sold} 件。")),
    "no_stock": FindingText(
        Text("No unit is left; {sold} are sold.", "没有库存，已售 {sold} 件。"),
        Text("Add stock: `stock_delta`.", "请通过 stock_delta 增加库存。"),
    ),
    "price": FindingText(Text("{amount}.", "{amount}。")),
    "free": FindingText(
        Text("Free: orders are paid when they are placed.", "价格为 0：下单即视为已支付。"),
        Text("Set a price, unless it is meant so.", "若非有意，请设置价格。"),
    ),
    "above_list_price": FindingText(
        Text("{amount} is above the list price {list_amount}.", "{amount} 高于划线价 {list_amount}。"),
        Text("Correct `price` or `list_price`.", "请更正 price 或 list_price。"),
    ),
    "limit": FindingText(Text("{limit} for each buyer.", "每人限购 {limit} 件。")),
    "no_limit": FindingText(
        Text("No limit: one buyer may take all {stock} units.", "未限购：一人可买走全部 {stock} 件。"),
        Text("Set `per_user_limit`.", "请设置 per_user_limit。"),
    ),
    "limit_over_stock": FindingText(
        Text(
            "{limit} for each buyer, and {stock} units: one may take all.",
            "每人限购 {limit} 件，而库存只有 {stock} 件。",
        ),
        Text("Lower `per_user_limit`.", "请调低 per_user_limit。"),
    ),
    "order_limit": FindingText(Text("{cap}, set for this item.", "{cap}（本商品单独设置）。")),
    "default_order_limit": FindingText(Text("{cap}, the service's setting.", "{cap}（服务默认值）。")),
    "high_order_limit": FindingText(
        Text(
            "{cap}: over {useful} only wait for each other's row locks.",
            "{cap}：超过 {useful} 个事务只会互相等待行锁。",
        ),
        Text("Lower `order_limit`; 2 is a good value.", "请调低 order_limit，建议为 2。"),
    ),
    "not_shipped": FindingText(Text("The item is not shipped.", "该商品无需配送。")),
    "shipping": FindingText(Text("{count} methods serve it: {codes}.", "可用配送方式 {count} 种：{codes}。")),
    "no_shipping": FindingText(
        Text(
            "No active shipping method serves {currency}: nobody can buy.",
            "没有可用于 {currency} 的配送方式，无人能够下单。",
        ),
        Text("Make or activate a shipping method.", "请新建或启用配送方式。"),
    ),
    "payment": FindingText(
        Text("A payment provider reports payments, signed with {keys} keys.", "由支付服务商通知付款，密钥 {keys} 个。")
    ),
    "test_payment": FindingText(
        Text("Buyers pay by a call, without money: for tests only.", "买家通过接口“付款”，不涉及真实资金，仅供测试。"),
        Text("Set PAYMENT_PROVIDER to webhook before a real sale.", "正式销售前请将 PAYMENT_PROVIDER 设为 webhook。"),
    ),
    "no_payment": FindingText(
        Text("There is no way to pay: all orders will expire.", "无法付款：所有订单都会过期。"),
        Text("Set PAYMENT_WEBHOOK_SECRETS: docs/payments.md.", "请设置 PAYMENT_WEBHOOK_SECRETS，见 docs/payments.md。"),
    ),
    "clock": FindingText(Text("The database is {seconds} s from this host.", "数据库与本机时钟相差 {seconds} 秒。")),
    "clock_apart": FindingText(
        Text(
            "The database is {seconds} s from this host; sales go by the database's clock, tokens by the host's.",
            "数据库与本机时钟相差 {seconds} 秒；销售以数据库时钟为准，令牌以本机时钟为准。",
        ),
        Text("Synchronise both hosts (NTP).", "请为两台主机配置 NTP 同步。"),
    ),
    "durable": FindingText(
        Text("An order that was answered survives a crash of the server.", "已应答的订单在数据库崩溃后仍然存在。")
    ),
    "not_durable": FindingText(
        Text("A crash of the database can lose orders: {names}.", "数据库崩溃可能丢失订单：{names}。"),
        Text("`flask doctor` says how to mend each.", "运行 flask doctor 查看修复方法。"),
    ),
    "one_worker": FindingText(Text("One process answers.", "单进程运行。")),
    "workers": FindingText(Text("{started} of this host take requests.", "本机 {started} 个工作进程就绪。")),
    "workers_starting": FindingText(
        Text("{started} of {alive} on this host take requests.", "本机 {alive} 个工作进程中有 {started} 个就绪。"),
        Text("Wait a moment and look again; else the log says why.", "请稍后再看；若仍未就绪，请查看日志。"),
    ),
    "draining": FindingText(
        Text("This host is about to stop.", "本机即将停止服务。"), Text("Start the service.", "请重新启动服务。")
    ),
    "answers": FindingText(Text("All answer: {paths}.", "均正常：{paths}。")),
    "answers_fail": FindingText(
        Text("Some do not answer as they should: {paths}.", "以下地址异常：{paths}。"),
        Text("The log says why; `/readyz` tells of the database.", "请查看日志；/readyz 反映数据库状态。"),
    ),
    "audit": FindingText(Text("{checks} checks, no breach, at {at}.", "{checks} 项检查全部通过（{at}）。")),
    "breaches": FindingText(
        Text("{breaches} rows break a promise: {names}.", "{breaches} 行数据违反约束：{names}。"),
        Text("Run the audit and look at each row before you sell.", "开售前请运行审计并逐行核查。"),
    ),
    "audit_not_run": FindingText(
        Text(
            "Not run: the sale has begun, and an audit reads all tables.",
            "未运行：销售已开始，而审计会读取全部数据表。",
        ),
        Text("Run it from the page Audit when the rush is over.", "请在高峰过后从“审计”页面运行。"),
    ),
    "audit_running": FindingText(
        Text("Another audit is being made.", "正在进行另一次审计。"), Text("Look again in a moment.", "请稍后再看。")
    ),
    "audit_unfinished": FindingText(
        Text("The audit was not finished in time.", "审计未能及时完成。"),
        Text("Run `flask audit`.", "请运行 flask audit。"),
    ),
}


def wait(seconds: int, language: str) -> str:
    """A time ahead, in its two largest units."""
    units = (("d", "天", 86_400), ("h", "小时", 3600), ("min", "分钟", 60), ("s", "秒", 1))
    parts: list[str] = []
    for en, zh, size in units:
        count, seconds = divmod(seconds, size)
        if count or (not parts and size == 1):
            parts.append(f"{count}{zh}" if language == "zh" else f"{count} {en}")
    return ("" if language == "zh" else " ").join(parts[:2])
