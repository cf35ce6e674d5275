// What needs an operator's hand: money to give back, and payments that do not fit.
import { html } from "../lib.js";
import { api } from "../service.js";
import { address } from "../router.js";
import { t } from "../i18n.js";
import { usePages } from "../parts/hooks.js";
import { Head, Loaded, More, Section } from "../parts/ui.js";
import { OrderTable } from "../parts/order_table.js";
import { Payment } from "../parts/payment.js";

export function Attention() {
  const orders = usePages((cursor, signal) => api.get(address("/orders", { status: "refund_due", cursor }), { signal }), []);
  const payments = usePages((cursor, signal) => api.get(address("/payments", { resolved: false, cursor }), { signal }), []);
  return html`
    <${Head} title=${t("attention.title")} lead=${t("attention.lead")} back=${{ href: "/admin/orders", text: t("nav.orders") }} />
    <${Section} title=${t("attention.refunds")} lead=${t("attention.refundsLead")}>
      <${Loaded} state=${orders}>
        ${(page) => html`<${OrderTable} orders=${page.items} empty=${t("attention.none")} /><${More} pages=${orders} />`}
      <//>
    <//>
    <${Section} title=${t("attention.payments")} lead=${t("attention.paymentsLead")}>
      <${Loaded} state=${payments}>
        ${(page) => html`
          ${page.items.length === 0 && html`<p class="empty">${t("attention.none")}</p>`}
          <ul class="list">${page.items.map((one) => html`<li key=${one.id}><${Payment} payment=${one} onResolved=${payments.reload} /></li>`)}</ul>
          <${More} pages=${payments} />
        `}
      <//>
    <//>
  `;
}
