// Subscriptions to events: the list, and a new one, whose secret is shown once.
import { html, useState } from "../lib.js";
import { api } from "../service.js";
import { address, path } from "../router.js";
import { t } from "../i18n.js";
import { usePages } from "../parts/hooks.js";
import { Badge, Head, Loaded, More, Table, Time } from "../parts/ui.js";
import { RecordForm } from "../parts/form.js";
import { Secret } from "../parts/secret.js";

export const HERE = "/admin/webhooks";
const TYPES = [
  "order.placed", "order.paid", "order.cancelled", "order.expired", "order.refund_due", "order.refunded",
  "goods.sold_out", "goods.restocked",
];
export const WEBHOOK_FIELDS = [
  { name: "url", label: "webhook.url", help: "webhook.urlHelp", type: "text", required: true, max: 2000, pattern: /^https?:\/\/[^\s/]\S*$/, wide: true },
  { name: "types", label: "webhook.types", help: "webhook.typesHelp", type: "choices", options: TYPES.map((type) => [type, `event.${type}`]) },
  { name: "active", label: "webhook.active", help: "webhook.activeHelp", type: "flag", initial: true, wide: true },
];
export const inCard = ({ field, fields }) => html`<div class="card fields">${fields.map(field)}</div>`;
export const back = () => ({ href: HERE, text: t("nav.webhooks") });

export function Webhooks() {
  const pages = usePages((cursor, signal) => api.get(address("/webhooks", { cursor, limit: 50 }), { signal }), []);
  return html`
    <${Head} title=${t("nav.webhooks")} lead=${t("webhook.lead")}>
      <a class="button primary" href=${`${HERE}/new`}>${t("webhook.new")}</a>
    <//>
    <div class="card stack">
      <${Loaded} state=${pages}>
        ${(page) => html`
          <${Table}
            caption=${t("nav.webhooks")}
            empty=${t("webhook.nothing")}
            columns=${[["url", t("webhook.url")], ["active", t("sales.status")], ["types", t("webhook.types")], ["since", t("webhook.since")]]}
            rows=${page.items.map((one) => ({
              key: one.id,
              attributes: { "data-webhook-id": one.id },
              url: html`<a class="mono breakable" href=${path("admin", "webhooks", one.id)}>${one.url}</a>`,
              active: html`<${Badge} tone=${one.active ? "good" : ""}>${t(one.active ? "active" : "inactive")}<//>`,
              types: one.types ? html`<span class="small">${one.types.map((type) => t(`event.${type}`)).join(", ")}</span>` : t("webhook.everything"),
              since: html`<span class="small"><${Time} at=${one.created_at} seconds=${false} /></span>`,
            }))}
          />
          <${More} pages=${pages} />
        `}
      <//>
    </div>
  `;
}

export function WebhookNew() {
  const [made, setMade] = useState(null);
  return html`
    <${Head} title=${t("webhook.new")} lead=${t("webhook.newLead")} back=${back()} />
    ${made
      ? html`<${Secret} secret=${made.secret} next=${path("admin", "webhooks", made.id)} />`
      : html`<${RecordForm}
          fields=${WEBHOOK_FIELDS}
          initial=${{ active: true }}
          wrap=${inCard}
          save=${(body, options) => api.send("POST", "/webhooks", { body, ...options })}
          onSaved=${setMade}
          cancelHref=${HERE}
        />`}
  `;
}
