// The list of sales.
import { html, useState } from "../lib.js";
import { api } from "../service.js";
import { address, navigate, path } from "../router.js";
import { count, money } from "../format.js";
import { locale, t } from "../i18n.js";
import { usePages } from "../parts/hooks.js";
import { Button, Head, Loaded, More, Table } from "../parts/ui.js";
import { SALE_STATES, SaleBadge, Window } from "../parts/sale_words.js";

export function Sales({ query }) {
  const { status = "", q = "" } = query;
  const pages = usePages(
    (cursor, signal) => api.get(address("/goods", { status, q, cursor, sort: "-id", limit: 50 }), { signal }),
    [status, q],
  );
  return html`
    <${Head} title=${t("nav.sales")} lead=${t("sales.lead")}>
      <a class="button primary" href="/admin/sales/new">${t("sales.new")}</a>
    <//>
    <div class="card stack">
      <${Filters} key=${`${status} ${q}`} status=${status} q=${q} />
      <${Loaded} state=${pages}>
        ${(page) => html`
          <${Table}
            caption=${t("nav.sales")}
            empty=${t(status || q ? "sales.nothingFound" : "sales.nothing")}
            columns=${[
              ["name", t("sales.name")],
              ["status", t("sales.status")],
              ["price", t("sales.price"), "number"],
              ["stock", t("sales.left"), "number"],
              ["sold", t("sales.sold"), "number"],
              ["window", t("sales.window")],
            ]}
            rows=${page.items.map(row)}
          />
          <${More} pages=${pages} />
        `}
      <//>
    </div>
  `;
}

function row(goods) {
  return {
    key: goods.id,
    attributes: { "data-goods-id": goods.id },
    name: html`<a href=${path("admin", "sales", goods.id)}>${goods.name}</a> <span class="muted small nowrap">#${goods.id}</span>`,
    status: html`<${SaleBadge} status=${goods.status} />`,
    price: money(goods.price, goods.currency, locale()),
    stock: count(goods.stock, locale()),
    sold: count(goods.sold, locale()),
    window: html`<span class="small"><${Window} goods=${goods} /></span>`,
  };
}

function Filters({ status, q }) {
  const [typed, setTyped] = useState(q);
  const go = (next) => navigate(address("/admin/sales", { status, q: typed.trim(), ...next }));
  const submit = (event) => {
    event.preventDefault();
    go({});
  };
  return html`<form class="filters" role="search" onSubmit=${submit}>
    <div class="field">
      <label for="sales-q">${t("sales.search")}</label>
      <input id="sales-q" type="search" maxlength="200" value=${typed} onInput=${(event) => setTyped(event.target.value)} />
    </div>
    <div class="field">
      <label for="sales-status">${t("sales.status")}</label>
      <select id="sales-status" value=${status} onChange=${(event) => go({ status: event.target.value })}>
        <option value="">${t("all")}</option>
        ${SALE_STATES.map((name) => html`<option key=${name} value=${name} selected=${name === status}>${t(`sale.${name}`)}</option>`)}
      </select>
    </div>
    <${Button} submit>${t("search")}<//>
  </form>`;
}
