// Orders as a table.
import { html } from "../lib.js";
import { path } from "../router.js";
import { count, money } from "../format.js";
import { locale, t } from "../i18n.js";
import { Table, Time } from "./ui.js";
import { OrderBadge } from "./sale_words.js";

/** Those that need a hand are marked. */
export function OrderTable({ orders, empty }) {
  return html`<${Table}
    caption=${t("nav.orders")}
    empty=${empty}
    columns=${[
      ["number", t("orders.number")],
      ["status", t("orders.status")],
      ["user", t("orders.user")],
      ["item", t("orders.item")],
      ["quantity", t("orders.quantity"), "number"],
      ["total", t("orders.total"), "number"],
      ["at", t("orders.at")],
    ]}
    rows=${orders.map((order) => ({
      key: order.order_no,
      attributes: {
        "data-order-no": order.order_no,
        "data-status": order.status,
        class: order.status === "refund_due" ? "needs-hand" : "",
      },
      number: html`<a class="mono" href=${path("admin", "orders", order.order_no)} title=${order.order_no}>${order.order_no.slice(0, 8)}…${order.order_no.slice(-4)}</a>`,
      status: html`<${OrderBadge} status=${order.status} />`,
      user: order.user_id,
      item: order.goods_name,
      quantity: count(order.quantity, locale()),
      total: money(order.total, order.currency, locale()),
      at: html`<span class="small nowrap"><${Time} at=${order.purchased_at} /></span>`,
    }))}
  />`;
}
