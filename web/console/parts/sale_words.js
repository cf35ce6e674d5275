// What the states of sales and orders are called, and how they look.
import { html } from "../lib.js";
import { t } from "../i18n.js";
import { Badge } from "./ui.js";

const SALE_TONES = { on_sale: "good", upcoming: "info", paused: "warn", sold_out: "", ended: "" };
const ORDER_TONES = { pending: "info", paid: "good", cancelled: "", expired: "", refund_due: "bad", refunded: "" };

export const SALE_STATES = Object.keys(SALE_TONES);
export const ORDER_STATES = Object.keys(ORDER_TONES);

export const SaleBadge = ({ status }) => html`<${Badge} tone=${SALE_TONES[status]}>${t(`sale.${status}`)}<//>`;
export const OrderBadge = ({ status }) => html`<${Badge} tone=${ORDER_TONES[status]}>${t(`order.${status}`)}<//>`;
