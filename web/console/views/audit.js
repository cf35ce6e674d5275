// The audit, run from the page: whether what is stored keeps the promises of a sale.
import { html, useState } from "../lib.js";
import { whenFree } from "../api.js";
import { api } from "../service.js";
import { path } from "../router.js";
import { count, money } from "../format.js";
import { locale, t } from "../i18n.js";
import { useAction } from "../parts/hooks.js";
import { Badge, Button, Head, Notice, Outcome, Section, Table, Time } from "../parts/ui.js";

const TIMEOUT_MS = 120_000; // of a large database; the service ends it earlier where it must

export function Audit() {
  const [waits, setWaits] = useState(false);
  const action = useAction(() => {
    setWaits(false);
    return whenFree(() => api.get("/audit", { timeout: TIMEOUT_MS }), { onWait: () => setWaits(true) });
  });
  const report = action.done;
  return html`
    <${Head} title=${t("nav.audit")} lead=${t("audit.lead")}>
      <${Button} kind="primary" busy=${action.busy} onPress=${() => action.run()}>${t(action.busy ? "audit.running" : report ? "audit.again" : "audit.run")}<//>
    <//>
    ${action.busy && waits && html`<${Notice}>${t("audit.busy")}<//>`}
    ${action.busy && html`<p class="loading" role="status">${t("audit.running")}</p>`}
    <${Outcome} action=${action} />
    ${report ? html`<${Result} report=${report} />` : !action.busy && html`<p class="card empty">${t("audit.start")}</p>`}
  `;
}

function Result({ report }) {
  const broken = report.checks.filter((check) => check.breaches > 0);
  const whole = (value) => count(value, locale());
  return html`
    <${Notice} kind=${report.ok ? "good" : "bad"}>
      <p><strong>${t(report.ok ? "audit.clean" : "audit.broken", { checks: whole(report.checks.length), broken: whole(broken.length) })}</strong></p>
      <p class="small">${t("audit.of", { goods: whole(report.goods), orders: whole(report.orders) })} <${Time} at=${report.taken_at} /></p>
    <//>
    ${broken.map((check) => html`<${Section} key=${check.name} title=${check.promise} actions=${html`<${Badge} tone="bad">${t("audit.rows", { rows: whole(check.breaches) })}<//>`}>
      <${Breaches} check=${check} />
    <//>`)}
    <${Section} title=${t("audit.money")} lead=${t("audit.moneyLead")}>
      <${Table}
        caption=${t("audit.money")}
        empty=${t("audit.noMoney")}
        columns=${[["currency", t("sales.currency")], ...["received", "kept", "given_back", "to_give_back"].map((name) => [name, t(`audit.${name}`), "number"])]}
        rows=${report.money.map((line) => ({
          key: line.currency,
          currency: line.currency,
          ...Object.fromEntries(["received", "kept", "given_back", "to_give_back"].map((name) => [name, money(line[name], line.currency, locale())])),
        }))}
      />
    <//>
    <${Section} title=${t("audit.checks")}>
      <ul class="checks many">
        ${report.checks.map(
          (check) => html`<li key=${check.name} data-check=${check.name} data-state=${check.breaches ? "problem" : "ok"}>
            <span class="sign" data-tone=${check.breaches ? "bad" : "good"} role="img" aria-label=${t(check.breaches ? "ready.problem" : "ready.ok")}>${check.breaches ? "✕" : "✓"}</span>
            <div><p lang="en">${check.promise}</p><p class="muted small mono">${check.name}</p></div>
          </li>`,
        )}
      </ul>
    <//>
  `;
}

function Breaches({ check }) {
  return html`<${Table}
    caption=${check.promise}
    columns=${[
      ["item", t("orders.item")], ["order", t("orders.number")], ["user", t("orders.user")], ["coupon", t("coupon.code")],
      ["expected", t("audit.expected"), "number"], ["found", t("audit.found"), "number"],
    ]}
    rows=${check.rows.map((row, index) => ({
      key: index,
      item: row.goods_id === null ? "–" : html`<a href=${path("admin", "sales", row.goods_id)}>#${row.goods_id}</a>`,
      order: row.order_no === null ? "–" : html`<a class="mono small" href=${path("admin", "orders", row.order_no)}>${row.order_no}</a>`,
      user: row.user_id ?? "–",
      coupon: row.coupon_code ?? "–",
      expected: count(row.expected, locale()),
      found: count(row.found, locale()),
    }))}
  />`;
}
