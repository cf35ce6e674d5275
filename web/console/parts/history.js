// Who changed a sale, when, and from what to what.
import { html } from "../lib.js";
import { api } from "../service.js";
import { address, path } from "../router.js";
import { t, hasText } from "../i18n.js";
import { usePages } from "./hooks.js";
import { Loaded, More, Section, Time } from "./ui.js";
import { sayValue } from "./resolve.js";
import { GOODS_FIELDS } from "../goods_fields.js";

const OTHERS = { paused: { type: "flag", label: "sales.paused" }, stock: { type: "count", label: "sales.stock" } };

function Change({ name, pair, currency }) {
  const field = OTHERS[name] ?? GOODS_FIELDS.find((one) => one.name === name);
  const say = (value) => sayValue(field, value, currency);
  return html`<li>
    <span class="muted">${field && hasText(field.label) ? t(field.label) : name}</span>${" "}
    ${pair.from === null && pair.to === null ? "" : html`<del>${say(pair.from)}</del> → <ins>${say(pair.to)}</ins>`}
  </li>`;
}

export function History({ goods }) {
  const pages = usePages(
    (cursor, signal) => api.get(address(path("goods", goods.id, "changes"), { cursor, limit: 20 }), { signal }),
    [goods.id, goods.version],
  );
  return html`<${Section} title=${t("history.title")}>
    <${Loaded} state=${pages}>
      ${(page) => html`
        <ol class="history">
          ${page.items.map(
            (change) => html`<li key=${change.id} data-version=${change.version}>
              <p><strong>${change.changed_by}</strong> ${t(`history.${change.action}`)} <span class="muted small"><${Time} at=${change.changed_at} /></span></p>
              ${change.action === "created"
                ? null
                : html`<ul class="changes small">
                    ${Object.entries(change.changes).map(([name, pair]) => html`<${Change} key=${name} name=${name} pair=${pair} currency=${goods.currency} />`)}
                  </ul>`}
            </li>`,
          )}
        </ol>
        <${More} pages=${pages} />
      `}
    <//>
  <//>`;
}
