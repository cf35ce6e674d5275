// Coupons.
import { html } from "../lib.js";
import { api } from "../service.js";
import { navigate, path } from "../router.js";
import { checkWindow } from "../fields.js";
import { count, money, percent } from "../format.js";
import { locale, t } from "../i18n.js";
import { useLoad } from "../parts/hooks.js";
import { Badge, Facts, Head, Loaded } from "../parts/ui.js";
import { RecordForm } from "../parts/form.js";
import { Window } from "../parts/sale_words.js";
import { OfferList } from "./offer_list.js";

const HERE = "/admin/coupons";
const KINDS = [["percent", "coupon.percent"], ["amount", "coupon.amount"], ["free_shipping", "coupon.free_shipping"]];
const FIELDS = [
  { name: "code", label: "coupon.code", help: "coupon.codeHelp", type: "text", required: true, max: 64, pattern: /^[A-Za-z0-9_-]{1,64}$/, once: true },
  { name: "kind", label: "coupon.kind", type: "choice", required: true, options: KINDS, initial: "percent", once: true },
  { name: "percent", label: "coupon.percentField", type: "count", min: 1, most: 100, of: ["percent"] },
  { name: "amount", label: "coupon.amountField", type: "money", min: 1, of: ["amount"] },
  { name: "max_discount", label: "coupon.maxDiscount", help: "coupon.maxDiscountHelp", type: "money", min: 1, of: ["percent"] },
  { name: "currency", label: "sales.currency", help: "coupon.currencyHelp", type: "currency" },
  { name: "min_spend", label: "coupon.minSpend", type: "money" },
  { name: "goods_ids", label: "coupon.goods", help: "coupon.goodsHelp", type: "list", numbers: true, pattern: /^[1-9]\d{0,15}$/ },
  { name: "total_limit", label: "coupon.totalLimit", help: "coupon.limitHelp", type: "count", min: 1 },
  { name: "per_user_limit", label: "coupon.perUserLimit", help: "coupon.limitHelp", type: "count", min: 1 },
  { name: "starts_at", label: "sales.startsAt", type: "time" },
  { name: "ends_at", label: "sales.endsAt", type: "time" },
  { name: "active", label: "coupon.active", help: "coupon.activeHelp", type: "flag", initial: true, wide: true },
];

/** The fields of a kind: those of other kinds are not on the form, and what it is worth is needed. */
const fieldsFor = (kind, edited) =>
  FIELDS.filter((field) => !(edited && field.once) && (!field.of || field.of.includes(kind))).map((field) =>
    field.name === kind || (kind === "amount" && field.name === "currency") ? { ...field, required: true } : field,
  );

const worth = (coupon) => {
  if (coupon.kind === "percent") return percent(coupon.percent / 100, locale(), 0);
  return coupon.kind === "amount" ? money(coupon.amount, coupon.currency ?? "XXX", locale()) : t("coupon.free_shipping");
};

export function Coupons({ query }) {
  return html`<${OfferList}
    from="/coupons"
    here=${HERE}
    query=${query}
    title=${t("nav.coupons")}
    lead=${t("coupon.lead")}
    newText=${t("coupon.new")}
    nothing=${t("coupon.nothing")}
    columns=${[
      ["code", t("coupon.code")],
      ["worth", t("coupon.worth")],
      ["active", t("sales.status")],
      ["used", t("coupon.used"), "number"],
      ["window", t("sales.window")],
    ]}
    row=${(coupon) => ({
      key: coupon.code,
      attributes: { "data-coupon": coupon.code },
      code: html`<a class="mono" href=${path("admin", "coupons", coupon.code)}>${coupon.code}</a>`,
      worth: worth(coupon),
      active: html`<${Badge} tone=${coupon.active ? "good" : ""}>${t(coupon.active ? "active" : "inactive")}<//>`,
      used: `${count(coupon.used, locale())} / ${coupon.total_limit === null ? "∞" : count(coupon.total_limit, locale())}`,
      window: html`<span class="small"><${Window} goods=${coupon} /></span>`,
    })}
  />`;
}

const inCard = ({ field, fields }) => html`<div class="card fields">${fields.map(field)}</div>`;
const back = () => ({ href: HERE, text: t("nav.coupons") });

export function CouponNew({ query }) {
  const kind = KINDS.some(([name]) => name === query.kind) ? query.kind : "percent";
  return html`
    <${Head} title=${t("coupon.new")} back=${back()} />
    <div class="row" role="group" aria-label=${t("coupon.kind")}>
      ${KINDS.map(([name, label]) => html`<a key=${name} class="button" aria-current=${name === kind ? "true" : undefined} href=${`${HERE}/new?kind=${name}`}>${t(label)}</a>`)}
    </div>
    <${RecordForm}
      key=${kind}
      fields=${fieldsFor(kind).filter((field) => field.name !== "kind")}
      initial=${kind === "amount" ? { currency: "CNY", active: true } : { active: true }}
      check=${checkWindow}
      wrap=${inCard}
      save=${(body, options) => api.send("POST", "/coupons", { body: { ...body, kind }, ...options })}
      onSaved=${() => navigate(HERE)}
      cancelHref=${HERE}
    />
  `;
}

export function CouponEdit({ code }) {
  const here = path("coupons", code);
  const read = (signal) => api.get(here, { signal });
  const state = useLoad(read, [code]);
  return html`
    <${Head} title=${code} back=${back()} />
    <${Loaded} state=${state}>
      ${(coupon) => html`
        <div class="card">
          <${Facts} of=${[[t("coupon.kind"), t(`coupon.${coupon.kind}`)], [t("coupon.used"), count(coupon.used, locale())]]} />
        </div>
        <${RecordForm}
          fields=${fieldsFor(coupon.kind, true)}
          stored=${coupon}
          check=${checkWindow}
          wrap=${inCard}
          save=${(body, options) => api.send("PATCH", here, { body, ...options })}
          fetchStored=${() => read()}
          onSaved=${() => navigate(HERE)}
          cancelHref=${HERE}
        />
      `}
    <//>
  `;
}
