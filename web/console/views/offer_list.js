// The list that coupons and shipping methods share: what is active, in pages.
import { html } from "../lib.js";
import { address, navigate } from "../router.js";
import { t } from "../i18n.js";
import { api } from "../service.js";
import { usePages } from "../parts/hooks.js";
import { Head, Loaded, More, Table } from "../parts/ui.js";

/** `api` is the list's path there, `here` its own; `columns` and `row` are those of the table. */
export function OfferList({ from, here, title, lead, newText, nothing, query, columns, row }) {
  const { active = "" } = query;
  const pages = usePages((cursor, signal) => api.get(address(from, { active, cursor, limit: 50 }), { signal }), [active]);
  return html`
    <${Head} title=${title} lead=${lead}><a class="button primary" href=${`${here}/new`}>${newText}</a><//>
    <div class="card stack">
      <div class="filters">
        <div class="field">
          <label for="offer-active">${t("sales.status")}</label>
          <select id="offer-active" value=${active} onChange=${(event) => navigate(address(here, { active: event.target.value }))}>
            ${[["", "all"], ["true", "active"], ["false", "inactive"]].map(
              ([value, label]) => html`<option key=${value} value=${value} selected=${value === active}>${t(label)}</option>`,
            )}
          </select>
        </div>
      </div>
      <${Loaded} state=${pages}>
        ${(page) => html`<${Table} caption=${title} empty=${nothing} columns=${columns} rows=${page.items.map(row)} /><${More} pages=${pages} />`}
      <//>
    </div>
  `;
}
