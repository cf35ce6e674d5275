"""The words of the report, in English and Chinese."""

from collections.abc import Mapping

from resources.http.problems import PROBLEMS

_TEXTS: Mapping[str, tuple[str, str]] = {
    "title": ("Report of the sale", "销售报告"),
    "until": ("Data until", "数据截至"),
    "sold": ("Units held by orders", "订单占用件数"),
    "offered": ("offered", "投放"),
    "revenue": ("Paid", "已付款"),
    "sell_out": ("Time to sell out", "售罄用时"),
    "not_sold_out": ("not sold out", "未售罄"),
    "requests": ("Purchase requests", "抢购请求"),
    "served_in_order": ("Served in order", "按先后顺序成交"),
    "audit": ("Audit", "审计"),
    "clean": ("no breach", "无异常"),
    "breaches": ("breaches", "处异常"),
    "course": ("Course", "过程"),
    "began": ("Began", "开始"),
    "first_order": ("First order", "首单"),
    "last_order": ("Last order", "末单"),
    "sold_out": ("Sold out", "售罄"),
    "per_second": ("a second", "每秒"),
    "peak_orders": ("Peak of orders", "下单峰值"),
    "peak_requests": ("Peak of requests", "请求峰值"),
    "orders": ("Orders", "订单"),
    "status": ("Status", "状态"),
    "count": ("Count", "数量"),
    "units": ("Units", "件数"),
    "buyers": ("Buyers", "买家"),
    "units_each": ("Units that a buyer holds", "每位买家持有件数"),
    "most": ("most for one buyer", "单人最多"),
    "money": ("Money", "金额"),
    "currency": ("Currency", "币种"),
    "paid": ("paid", "已付款"),
    "pending": ("pending", "待付款"),
    "cancelled": ("cancelled", "已取消"),
    "expired": ("expired", "已过期"),
    "refund_due": ("refund due", "待退款"),
    "refunded": ("refunded", "已退款"),
    "unpaid": ("unpaid", "待付款"),
    "discount": ("discounts", "优惠"),
    "shipping": ("shipping", "运费"),
    "demand": ("Demand", "需求"),
    "outcome": ("Outcome", "结果"),
    "bought": ("bought", "成交"),
    "answered": ("bought, or answered again by key", "成交（含幂等重复应答）"),
    "replayed": ("answered again by key", "同一幂等键重复应答"),
    "demand_note": (
        "Counted by the workers; the crash of a worker loses its last second. Not counted: requests without a valid "
        "token or body, and those over a caller's limit. Orders and money are those that are stored.",
        "由工作进程计数；进程崩溃会丢失最后一秒。未计入：令牌或请求体无效的请求，以及超出频率限制的请求。订单与金额以数据库为准。",
    ),
    "nothing_counted": ("No request was counted.", "没有计数数据。"),
    "waits": ("Waits", "等待时间"),
    "waits_note": (
        "From a request's arrival in the queue to its outcome, exact to 9 %.",
        "从请求进入队列到得到结果，误差不超过 9 %。",
    ),
    "half": ("half within", "50 % 不超过"),
    "ninety": ("90 % within", "90 % 不超过"),
    "ninety_nine": ("99 % within", "99 % 不超过"),
    "longest": ("longest", "最长"),
    "came_back": ("Units that came back", "退回的件数"),
    "sold_again": ("sold again", "再次售出"),
    "who": ("Buyer", "买家"),
    "order_no": ("Order", "订单号"),
    "when": ("Time (UTC)", "时间（UTC）"),
    "more": ("more are not shown", "条未显示"),
    "none": ("None.", "无。"),
    "service": ("Order of service", "成交顺序"),
    "service_note": (
        "Arrival in the queues of all workers, compared with the order in which orders were written, from a sample. "
        "Kendall's tau: 1 where all are served in order, 0 by lot, -1 in reverse.",
        "抽样比较请求进入各工作进程队列的先后与订单写入的先后。Kendall τ：1 为完全按序，0 为随机，-1 为完全相反。",
    ),
    "sample": ("orders compared", "笔订单参与比较"),
    "pairs": ("pairs of buyers in order", "的买家对按先后成交"),
    "checks": ("checks", "项检查"),
    "of_others": ("breaches that do not name this item", "处异常与本商品无关"),
    "chart_orders": ("Orders", "订单数"),
    "chart_stock": ("Units left", "剩余件数"),
    "chart_requests": ("Requests, refused ones by reason", "请求数（按拒绝原因）"),
    "each_interval": ("each interval is", "每格"),
    "seconds": ("s", "秒"),
    "item": ("Item", "商品"),
    "price": ("Price", "价格"),
    "limit": ("Limit for each buyer", "每人限购"),
    "without": ("none", "无"),
    "window": ("Window", "时段"),
}


def text(name: str, language: str) -> str:
    return _TEXTS[name][language == "zh"]


def outcome(code: str, language: str) -> str:
    """The name of an error's code."""
    known = PROBLEMS.get(code)
    return code if known is None else known.title.in_language(language)
