// What the states of sales and orders, their windows and refusals are called, and how they look.
import { html } from "../lib.js";
import { hasText, t } from "../i18n.js";
import { Badge, Time } from "./ui.js";

const SALE_TONES = { on_sale: "good", upcoming: "info", paused: "warn", sold_out: "", ended: "" };
const ORDER_TONES = { pending: "info", paid: "good", cancelled: "", expired: "", refund_due: "bad", refunded: "" };

export const SALE_STATES = Object.keys(SALE_TONES);
export const ORDER_STATES = Object.keys(ORDER_TONES);

export const SaleBadge = ({ status }) => html`<${Badge} tone=${SALE_TONES[status]}>${t(`sale.${status}`)}<//>`;
export const OrderBadge = ({ status }) => html`<${Badge} tone=${ORDER_TONES[status]}>${t(`order.${status}`)}<//>`;

/** What a refusal is called. */
export const codeWord = (code) => (hasText(`code.${code}`) ? t(`code.${code}`) : code);

/** From when to when a sale is open, in the visitor's zone. */
export function Window({ goods }) {
  if (!goods.starts_at && !goods.ends_at) return t("sales.always");
  return html`${goods.starts_at && html`<span class="nowrap">${t("sales.from")} <${Time} at=${goods.starts_at} seconds=${false} /></span>`}${" "}
    ${goods.ends_at && html`<span class="nowrap">${t("sales.until")} <${Time} at=${goods.ends_at} seconds=${false} /></span>`}`;
}
