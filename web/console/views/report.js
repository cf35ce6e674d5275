// The report of a sale, to read and to print.
import { html, useState } from "../lib.js";
import { whenFree } from "../api.js";
import { api } from "../service.js";
import { path } from "../router.js";
import { count, figure, milliseconds, money, percent } from "../format.js";
import { locale, t } from "../i18n.js";
import { seconds, useLoad } from "../parts/hooks.js";
import { Button, Facts, Head, Loaded, Notice, Section, Table, Time } from "../parts/ui.js";
import { codeWord, ORDER_STATES, SaleBadge } from "../parts/sale_words.js";
import { Chart } from "../parts/chart.js";

const TIMEOUT_MS = 120_000; // it audits the whole database

const whole = (value) => count(value, locale());
const ms = (value) => milliseconds(value, locale());

export function Report({ id }) {
  const [waits, setWaits] = useState(false);
  const read = (signal) => api.get(path("goods", id, "report"), { signal, timeout: TIMEOUT_MS });
  const state = useLoad((signal) => whenFree(() => read(signal), { onWait: () => setWaits(true) }), [id]);
  const title = state.data ? t("report.titleOf", { name: state.data.goods.name }) : t("report.title");
  return html`
    <${Head} title=${title} back=${{ href: path("admin", "sales", id), text: state.data?.goods.name ?? t("back") }}>
      <${Button} disabled=${!state.data} onPress=${() => print()}>${t("report.print")}<//>
    <//>
    ${waits && state.loading && html`<${Notice}>${t("audit.busy")}<//>`}
    <${Loaded} state=${state}>
      ${(report) => html`
        <p class="row"><${SaleBadge} status=${report.goods.status} /> <span class="muted small">${t("report.until")} <${Time} at=${report.data_until} /></span></p>
        <${Short} report=${report} />
        <${Course} report=${report} />
        <div class="columns">
          <div class="stack"><${Money} report=${report} /><${Units} report=${report} /><${Back} report=${report} /></div>
          <div class="stack"><${Demand} report=${report} /><${Service} report=${report} /><${Audited} audit=${report.audit} /></div>
        </div>
      `}
    <//>
  `;
}

function Short({ report }) {
  const { goods, units, course, demand, revenue } = report;
  const tiles = [
    [t("report.sold"), whole(units.held), t("report.ofOffered", { offered: whole(report.offered) })],
    ...revenue.map((line) => [t("report.revenue"), money(line.paid, line.currency, locale()), t("report.paidUnits", { units: whole(units.paid) })]),
    [t("report.toSellOut"), course.seconds_to_sell_out === null ? "–" : sayTime(course.seconds_to_sell_out), t(course.sold_out_at ? "report.soldOutOnce" : "report.notSoldOut")],
    [t("report.demand"), whole(demand.requests), t("report.requestsFor", { units: figure(demand.requests / Math.max(1, report.offered), locale()) })],
    [t("report.peak"), figure(report.peak.orders_per_second, locale()), t("report.ordersPerSecond")],
  ];
  return html`<ul class="tiles broad" data-report=${goods.id}>
    ${tiles.map(([name, value, more], index) => html`<li key=${index} class="card tile"><span class="muted small">${name}</span><strong class="number">${value}</strong><span class="muted small">${more}</span></li>`)}
  </ul>`;
}

const sayTime = (value) => (value < 120 ? `${figure(value, locale())} ${t("unit.s")}` : seconds(value));

function Course({ report }) {
  const { chart, course } = report;
  const time = { start: Date.parse(chart.from), seconds: chart.seconds };
  const perInterval = chart.seconds === 1 ? t("report.perSecond") : t("report.perInterval", { seconds: figure(chart.seconds, locale(), 2) });
  const refusals = Object.entries(chart.refusals).map(([code, values]) => ({ name: code, label: codeWord(code), values }));
  return html`<${Section} title=${t("report.course")}>
    <${Facts}
      of=${[
        course.began_at && [t("report.began"), html`<${Time} at=${course.began_at} />`],
        course.first_order_at && [t("report.firstOrder"), html`<${Time} at=${course.first_order_at} />`],
        course.sold_out_at && [t("report.soldOutAt"), html`<${Time} at=${course.sold_out_at} />`],
        course.last_order_at && [t("report.lastOrder"), html`<${Time} at=${course.last_order_at} />`],
      ]}
    />
    ${chart.from && chart.orders.length > 0
      ? html`<div class="charts">
          <${Chart} title=${`${t("report.orders")}, ${perInterval}`} ...${time} series=${[{ name: "orders", label: t("report.orders"), values: chart.orders, filled: true }]} whole />
          <${Chart} title=${t("live.chart.stock")} ...${time} series=${[{ name: "stock", label: t("live.stock"), values: chart.stock, step: true, filled: true }]} whole />
          <${Chart} title=${`${t("report.requests")}, ${perInterval}`} ...${time} series=${[{ name: "requests", label: t("report.requests"), values: chart.requests, filled: true }]} whole />
          ${refusals.length > 0 && html`<${Chart} title=${`${t("live.refusals")}, ${perInterval}`} ...${time} series=${refusals} whole />`}
        </div>`
      : html`<p class="empty">${t("report.noCourse")}</p>`}
  <//>`;
}

function Money({ report }) {
  const names = ["paid", "unpaid", "discount", "shipping", "refund_due", "refunded"];
  return html`<${Section} title=${t("report.money")}>
    ${report.revenue.length === 0 && html`<p class="empty">${t("audit.noMoney")}</p>`}
    ${report.revenue.map((line) => html`<dl class="lines" key=${line.currency}>
      ${names.map((name) => html`<dt key=${name}>${t(`report.money.${name}`)}</dt><dd>${money(line[name], line.currency, locale())}</dd>`)}
    </dl>`)}
  <//>`;
}

function Units({ report }) {
  const { units, orders, buyers } = report;
  return html`<${Section} title=${t("report.units")}>
    <dl class="lines">
      ${["placed", "held", "paid", "unpaid", "came_back"].map((name) => html`<dt key=${name}>${t(`report.units.${name}`)}</dt><dd>${whole(units[name])}</dd>`)}
    </dl>
    <h3>${t("report.ordersByState")}</h3>
    <dl class="lines">${ORDER_STATES.filter((name) => orders[name]).map((name) => html`<dt key=${name}>${t(`order.${name}`)}</dt><dd>${whole(orders[name])}</dd>`)}</dl>
    <h3>${t("report.buyers", { count: whole(buyers.count) })}</h3>
    <${Bars} rows=${buyers.units.map((one) => [t("report.unitsEach", { units: whole(one.units) }), one.buyers])} />
  <//>`;
}

/** Shares as bars; the numbers stand beside them. */
function Bars({ rows }) {
  const most = Math.max(1, ...rows.map(([, value]) => value));
  return html`<dl class="bars">
    ${rows.map(([label, value]) => html`<div key=${label}><dt>${label}</dt><dd><meter min="0" max=${most} value=${value} aria-label=${label}></meter> <span class="number">${whole(value)}</span></dd></div>`)}
  </dl>`;
}

function Back({ report }) {
  const back = report.came_back;
  return html`<${Section} title=${t("report.cameBack")} lead=${t("report.cameBackLead", { units: whole(back.units), again: whole(back.sold_again) })}>
    ${back.orders.length > 0 &&
    html`<details>
      <summary>${t("report.whoGot")}</summary>
      <${Table}
      caption=${t("report.cameBack")}
      columns=${[["user", t("orders.user")], ["units", t("orders.quantity"), "number"], ["at", t("orders.at")], ["order", t("orders.number")]]}
      rows=${back.orders.map((one) => ({
        key: one.order_no,
        user: one.user_id,
        units: whole(one.units),
        at: html`<span class="small nowrap"><${Time} at=${one.purchased_at} /></span>`,
        order: html`<a class="mono" href=${path("admin", "orders", one.order_no)}>${one.order_no.slice(0, 8)}…</a>`,
      }))}
      />
    </details>`}
    ${back.left_out > 0 && html`<p class="muted small">${t("report.leftOut", { orders: whole(back.left_out) })}</p>`}
  <//>`;
}

function Demand({ report }) {
  const { demand } = report;
  const rows = [
    [t("live.purchases"), demand.purchases],
    [t("report.replays"), demand.replays],
    ...Object.entries({ ...demand.refusals, ...demand.failures }).sort(([, one], [, other]) => other - one).map(([code, value]) => [codeWord(code), value]),
  ];
  return html`<${Section} title=${t("report.demand")} lead=${t("report.demandLead")}>
    <${Bars} rows=${rows} />
    ${demand.counted_from && html`<p class="muted small">${t("report.counted")} <${Time} at=${demand.counted_from} /> – <${Time} at=${demand.counted_until} /></p>`}
  <//>`;
}

function Service({ report }) {
  const { waits, peak, order_of_service: served } = report;
  return html`<${Section} title=${t("report.service")}>
    <dl class="lines">
      ${[["p50_ms", "live.p50_ms"], ["p90_ms", "report.p90"], ["p99_ms", "live.p99_ms"], ["longest_ms", "live.longest_wait_ms"]].map(
        ([name, label]) => html`<dt key=${name}>${t("report.wait", { which: t(label) })}</dt><dd>${ms(waits[name])}</dd>`,
      )}
      <dt>${t("report.peakOrders")}</dt><dd>${whole(peak.orders_per_second)}</dd>
      <dt>${t("report.peakRequests")}</dt><dd>${whole(peak.requests_per_second)}</dd>
      <dt>${t("report.inOrder")}</dt><dd>${percent(served.in_order, locale(), 2)}</dd>
      <dt>${t("report.tau")}</dt><dd>${figure(served.kendall_tau, locale(), 4)}</dd>
    </dl>
    <p class="muted small">${t("report.serviceLead", { sample: whole(served.sample) })}</p>
  <//>`;
}

const Audited = ({ audit }) => html`<${Section} title=${t("nav.audit")}>
  <${Notice} kind=${audit.ok ? "good" : "bad"}>${t(audit.ok ? "audit.clean" : "audit.broken", { checks: whole(audit.checks), broken: whole(audit.breaches.length) })}<//>
  ${audit.breaches.length > 0 && html`<ul>${audit.breaches.map((breach) => html`<li key=${breach.name} lang="en">${breach.promise}: ${t("audit.rows", { rows: whole(breach.rows) })}</li>`)}</ul>`}
  ${audit.of_other_items > 0 && html`<p class="muted small">${t("report.ofOthers", { rows: whole(audit.of_other_items) })}</p>`}
<//>`;
