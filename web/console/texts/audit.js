// The audit.
export default {
  "audit.lead": [
    "Checks stock, orders, limits, coupons, events and money over the whole database, in one snapshot, beside a running sale.",
    "在一个快照中核对整个数据库的库存、订单、限购、优惠券、事件和款项，可在活动进行时运行。",
  ],
  "audit.run": ["Run audit", "开始核对"],
  "audit.again": ["Run again", "再次核对"],
  "audit.running": ["Checking…", "核对中…"],
  "audit.busy": [
    "Another audit or report is being made on this host. This one comes after it.",
    "此主机正在进行另一次核对或生成报告，完成后将继续。",
  ],
  "audit.start": ["Nothing was checked yet.", "尚未核对。"],
  "audit.clean": ["All {checks} promises hold.", "全部 {checks} 项均符合。"],
  "audit.broken": ["Broken promises: {broken} of {checks}.", "{checks} 项中有 {broken} 项不符。"],
  "audit.of": ["Items: {goods}. Orders: {orders}. As of", "商品 {goods} 件，订单 {orders} 笔，截至"],
  "audit.rows": ["Rows: {rows}", "{rows} 行"],
  "audit.expected": ["Should be", "应为"],
  "audit.found": ["Is", "实为"],
  "audit.checks": ["What was checked", "核对项目"],
  "audit.money": ["Money", "款项"],
  "audit.moneyLead": ["Where the money that came in is.", "收到款项的去向。"],
  "audit.noMoney": ["No money was received yet.", "尚未收到款项。"],
  "audit.received": ["Received", "已收"],
  "audit.kept": ["Kept", "保留"],
  "audit.given_back": ["Given back", "已退"],
  "audit.to_give_back": ["To give back", "待退"],
};
