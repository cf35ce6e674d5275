// One order: all of it, what was paid for it, and how it is cancelled or refunded.
import { html, useState } from "../lib.js";
import { api } from "../service.js";
import { address, path } from "../router.js";
import { count, money } from "../format.js";
import { locale, t } from "../i18n.js";
import { useAction, useLoad, usePages } from "../parts/hooks.js";
import { Button, Copyable, Facts, Head, Loaded, More, Notice, Outcome, Section, Time } from "../parts/ui.js";
import { OrderBadge } from "../parts/sale_words.js";
import { Dialog } from "../parts/dialog.js";
import { Payment } from "../parts/payment.js";

export function Order({ orderNo }) {
  const state = useLoad((signal) => api.get(path("orders", orderNo), { signal }), [orderNo]);
  const payments = usePages(
    (cursor, signal) => api.get(address("/payments", { order_no: orderNo, cursor }), { signal }),
    [orderNo],
  );
  const changed = (order) => {
    state.set(order);
    payments.reload();
  };
  return html`
    <${Head} title=${t("order.title")} back=${{ href: "/admin/orders", text: t("nav.orders") }} />
    <${Loaded} state=${state}>
      ${(order) => html`
        ${order.status === "refund_due" && html`<${Notice} kind="bad">${t("order.refundDueLead")}<//>`}
        <div class="columns">
          <div class="stack">
            <${Details} order=${order} />
            <${Acts} order=${order} onChanged=${changed} />
          </div>
          <div class="stack">
            <${Price} order=${order} />
            ${order.address && html`<${Address} of=${order.address} method=${order.shipping_method} />`}
            <${Section} title=${t("order.payments")}>
              <${Loaded} state=${payments}>
                ${(page) => html`
                  ${page.items.length === 0 && html`<p class="empty">${t("order.noPayments")}</p>`}
                  <ul class="list">${page.items.map((one) => html`<li key=${one.id}><${Payment} payment=${one} onResolved=${payments.reload} /></li>`)}</ul>
                  <${More} pages=${payments} />
                `}
              <//>
            <//>
          </div>
        </div>
      `}
    <//>
  `;
}

const Details = ({ order }) => html`<${Section} title=${order.goods_name} actions=${html`<${OrderBadge} status=${order.status} />`}>
  <${Copyable} text=${order.order_no} label=${t("orders.number")} />
  <${Facts}
    of=${[
      [t("orders.user"), html`<a href=${address("/admin/orders", { user_id: order.user_id })}>${order.user_id}</a>`],
      [t("orders.item"), html`<a href=${path("admin", "sales", order.goods_id)}>${order.goods_name}</a>`],
      [t("orders.quantity"), count(order.quantity, locale())],
      [t("orders.at"), html`<${Time} at=${order.purchased_at} />`],
      order.status === "pending" && [t("order.expiresAt"), html`<${Time} at=${order.expires_at} />`],
      order.paid_at && [t("order.paidAt"), html`<${Time} at=${order.paid_at} />`],
      order.closed_at && [t("order.closedAt"), html`<${Time} at=${order.closed_at} />`],
      order.refunded_at && [t("order.refundedAt"), html`<${Time} at=${order.refunded_at} />`],
      order.refund_reference && [t("order.reference"), order.refund_reference],
    ]}
  />
<//>`;

function Price({ order }) {
  const say = (minor) => money(minor, order.currency, locale());
  return html`<${Section} title=${t("order.price")}>
    <dl class="lines">
      <dt>${t("order.subtotal", { quantity: count(order.quantity, locale()), price: say(order.unit_price) })}</dt><dd>${say(order.subtotal)}</dd>
      ${order.discount > 0 && html`<dt>${t("order.discount")} ${order.coupon_code ?? ""}</dt><dd>−${say(order.discount)}</dd>`}
      ${order.shipping_method && html`<dt>${t("order.shipping")}</dt><dd>${say(order.shipping_fee)}</dd>`}
      <dt><strong>${t("orders.total")}</strong></dt><dd><strong>${say(order.total)}</strong></dd>
    </dl>
  <//>`;
}

const Address = ({ of, method }) => html`<${Section} title=${t("order.address")}>
  <address>${[of.name, of.phone, of.line1, of.line2, [of.postcode, of.region].filter(Boolean).join(" ")].filter(Boolean).map((line) => html`<div key=${line}>${line}</div>`)}</address>
  ${method && html`<p class="muted small">${t("order.method", { method })}</p>`}
<//>`;

function Acts({ order, onChanged }) {
  const [dialog, setDialog] = useState(null);
  const refundable = order.status === "paid" || order.status === "refund_due";
  const close = () => setDialog(null);
  const done = (changed) => {
    close();
    onChanged(changed);
  };
  if (!refundable && order.status !== "pending") return null;
  return html`<${Section} title=${t("order.acts")}>
    <div class="row">
      ${order.status === "pending" && html`<${Button} kind="danger" onPress=${() => setDialog("cancel")}>${t("order.cancel")}<//>`}
      ${refundable && html`<${Button} kind=${order.status === "refund_due" ? "primary" : ""} onPress=${() => setDialog("refund")}>${t("order.refund")}<//>`}
    </div>
    ${dialog === "cancel" && html`<${Cancel} order=${order} onClose=${close} onDone=${done} />`}
    ${dialog === "refund" && html`<${Refund} order=${order} onClose=${close} onDone=${done} />`}
  <//>`;
}

function Cancel({ order, onClose, onDone }) {
  const action = useAction((_, options) => api.send("POST", path("orders", order.order_no, "cancel"), options), onDone);
  return html`<${Dialog} title=${t("order.cancel")} onClose=${onClose}>
    <p>${t("order.cancelLead")}</p>
    <${Outcome} action=${action} />
    <div class="buttons"><${Button} kind="danger" busy=${action.busy} onPress=${() => action.run({})}>${t("order.cancelNow")}<//></div>
  <//>`;
}

function Refund({ order, onClose, onDone }) {
  const [reference, setReference] = useState("");
  const [restock, setRestock] = useState(false);
  const [missing, setMissing] = useState(false);
  const action = useAction((body, options) => api.send("POST", path("orders", order.order_no, "refund"), { body, ...options }), onDone);
  const submit = (event) => {
    event.preventDefault();
    setMissing(!reference.trim());
    if (reference.trim()) action.run({ reference: reference.trim(), restock });
  };
  return html`<${Dialog} title=${t("order.refund")} onClose=${onClose}>
    <form class="stack" onSubmit=${submit} noValidate>
      <p>${t("order.refundLead", { total: money(order.total, order.currency, locale()) })}</p>
      <div class="field">
        <label for="reference">${t("order.reference")}</label>
        <input
          id="reference"
          type="text"
          maxlength="255"
          autocomplete="off"
          aria-invalid=${missing ? "true" : undefined}
          aria-describedby="reference-help"
          value=${reference}
          onInput=${(event) => {
            setReference(event.target.value);
            setMissing(false);
            action.renew();
          }}
        />
        <p class=${missing ? "error" : "hint"} id="reference-help">${t(missing ? "field.missing" : "order.referenceHelp")}</p>
      </div>
      ${order.status === "paid" &&
      html`<div class="field flag">
        <label><input type="checkbox" checked=${restock} onChange=${(event) => (setRestock(event.target.checked), action.renew())} /> ${t("order.restock")}</label>
        <p class="hint">${t("order.restockHelp")}</p>
      </div>`}
      <${Outcome} action=${action} />
      <div class="buttons"><${Button} submit kind="primary" busy=${action.busy}>${t("order.refundNow")}<//></div>
    </form>
  <//>`;
}
