// Shipping methods.
import { html } from "../lib.js";
import { api } from "../service.js";
import { navigate, path } from "../router.js";
import { decimal, money } from "../format.js";
import { locale, t } from "../i18n.js";
import { useLoad } from "../parts/hooks.js";
import { Badge, Head, Loaded } from "../parts/ui.js";
import { RecordForm } from "../parts/form.js";
import { OfferList } from "./offer_list.js";

const HERE = "/admin/shipping";
const API = "/shipping-methods";
const FIELDS = [
  { name: "code", label: "method.code", help: "coupon.codeHelp", type: "text", required: true, max: 64, pattern: /^[A-Za-z0-9_-]{1,64}$/, once: true },
  { name: "name", label: "sales.name", help: "method.nameHelp", type: "text", required: true, spell: true },
  { name: "currency", label: "sales.currency", help: "method.currencyHelp", type: "currency" },
  { name: "base_fee", label: "method.baseFee", type: "money", required: true },
  { name: "additional_fee", label: "method.additionalFee", help: "method.additionalFeeHelp", type: "money", empty: 0 },
  { name: "free_from", label: "method.freeFrom", help: "method.freeFromHelp", type: "money" },
  { name: "regions", label: "method.regions", help: "method.regionsHelp", type: "list", pattern: /^[A-Z]{2}(-[A-Z0-9]{1,3})?$/, wide: true },
  { name: "active", label: "method.active", help: "method.activeHelp", type: "flag", initial: true, wide: true },
];
const EDITABLE = FIELDS.filter((field) => !field.once);

// A fee without a currency is of that of each item: a number alone.
const fee = (method, minor) => (method.currency ? money(minor, method.currency, locale()) : decimal(minor, "CNY"));

export function Methods({ query }) {
  return html`<${OfferList}
    from=${API}
    here=${HERE}
    query=${query}
    title=${t("nav.shipping")}
    lead=${t("method.lead")}
    newText=${t("method.new")}
    nothing=${t("method.nothing")}
    columns=${[
      ["name", t("sales.name")],
      ["code", t("method.code")],
      ["active", t("sales.status")],
      ["fee", t("method.baseFee"), "number"],
      ["more", t("method.additionalFee"), "number"],
      ["regions", t("method.regions")],
    ]}
    row=${(method) => ({
      key: method.code,
      attributes: { "data-method": method.code },
      name: html`<a href=${path("admin", "shipping", method.code)}>${method.name}</a>`,
      code: html`<span class="mono">${method.code}</span>`,
      active: html`<${Badge} tone=${method.active ? "good" : ""}>${t(method.active ? "active" : "inactive")}<//>`,
      fee: fee(method, method.base_fee),
      more: fee(method, method.additional_fee),
      regions: method.regions ? html`<span class="small">${method.regions.join(", ")}</span>` : t("method.everywhere"),
    })}
  />`;
}

const inCard = ({ field, fields }) => html`<div class="card fields">${fields.map(field)}</div>`;
const back = () => ({ href: HERE, text: t("nav.shipping") });

export function MethodNew() {
  return html`
    <${Head} title=${t("method.new")} back=${back()} />
    <${RecordForm}
      fields=${FIELDS}
      initial=${{ active: true, currency: "CNY" }}
      wrap=${inCard}
      save=${(body, options) => api.send("POST", API, { body, ...options })}
      onSaved=${() => navigate(HERE)}
      cancelHref=${HERE}
    />
  `;
}

/** One method. The API lists methods, and has no address to read one. */
async function find(code, signal) {
  let cursor = "";
  do {
    const page = await api.get(`${API}?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`, { signal });
    const found = page.items.find((one) => one.code === code);
    if (found) return found;
    cursor = page.next_cursor ?? "";
  } while (cursor);
  throw Object.assign(new Error("missing"), { code: "missing", errors: [], detail: t("method.gone") });
}

export function MethodEdit({ code }) {
  const state = useLoad((signal) => find(code, signal), [code]);
  return html`
    <${Head} title=${state.data?.name ?? code} back=${back()} />
    <${Loaded} state=${state}>
      ${(method) => html`<${RecordForm}
        fields=${EDITABLE}
        stored=${method}
        wrap=${inCard}
        save=${(body, options) => api.send("PATCH", path("shipping-methods", code), { body, ...options })}
        fetchStored=${() => find(code)}
        onSaved=${() => navigate(HERE)}
        cancelHref=${HERE}
      />`}
    <//>
  `;
}
