// The sale as it runs: figures of the last seconds, curves of the last ten minutes, by item and in all.
import { html } from "../lib.js";
import { api } from "../service.js";
import { address, navigate, path } from "../router.js";
import { clock, count, figure, milliseconds } from "../format.js";
import { locale, t } from "../i18n.js";
import { usePoll } from "../parts/hooks.js";
import { Badge, Head, Loaded, Notice, sayError, Section, Table, Time } from "../parts/ui.js";
import { codeWord, SaleBadge } from "../parts/sale_words.js";
import { Chart } from "../parts/chart.js";

const EVERY_S = 1;
const sum = (byCode) => Object.values(byCode).reduce((total, one) => total + one, 0);

export function Live({ query }) {
  const id = /^[1-9]\d{0,18}$/.test(query.goods_id ?? "") ? query.goods_id : "";
  const poll = usePoll((signal) => api.get(address("/live", { goods_id: id }), { signal }), EVERY_S, [id]);
  const { data, error, wait } = poll;
  return html`
    <${Head} title=${t("nav.live")}>
      <span class="muted small" role="timer" aria-live="off">${data && t("live.at", { time: clock(new Date(data.at), locale()) })}</span>
    <//>
    ${error && data && html`<${Notice} kind="warn">${t("problem.pollWaits", { problem: sayError(error), seconds: Math.ceil(wait / 1000) })}<//>`}
    <${Loaded} state=${{ data, error: data ? null : error, reload: poll.now }}>
      ${(live) => html`
        <${Alarm} live=${live} />
        ${!live.complete && html`<${Notice} kind="warn">${t("live.incomplete")}<//>`}
        <${Choice} live=${live} id=${id} />
        <${Tiles} live=${live} />
        <${Charts} live=${live} />
        <${Items} live=${live} id=${id} />
        <p class="muted small">${t("live.from", { hosts: count(live.hosts, locale()), workers: count(live.workers, locale()) })}</p>
      `}
    <//>
  `;
}

/** Always there, so that screen readers hear what comes into it. */
function Alarm({ live }) {
  const which = live.items.filter((item) => item.alarm);
  return html`<div role="alert" class=${live.alarm ? "alarm" : "silent"}>
    ${live.alarm &&
    html`<strong>${t("live.alarm")}</strong>
      <p>${t("live.alarmHelp")} ${live.alarm_since && html`${t("live.alarmSince")} <${Time} at=${live.alarm_since} />.`}</p>
      ${which.length > 0 && html`<p>${which.map((item) => html`<a key=${item.goods_id} href=${path("admin", "sales", item.goods_id)}>${item.name}</a> `)}</p>`}`}
  </div>`;
}

function Choice({ live, id }) {
  const known = live.items.some((item) => String(item.goods_id) === id);
  return html`<div class="field narrow">
    <label for="live-item">${t("live.of")}</label>
    <select id="live-item" value=${id} onChange=${(event) => navigate(address("/admin/live", { goods_id: event.target.value }))}>
      <option value="">${t("live.all")}</option>
      ${id && !known && html`<option value=${id} selected>${`#${id}`}</option>`}
      ${live.items.map((item) => html`<option key=${item.goods_id} value=${item.goods_id} selected=${String(item.goods_id) === id}>${item.name}</option>`)}
    </select>
  </div>`;
}

function Tiles({ live }) {
  const { now } = live;
  const say = (value) => figure(value, locale());
  const whole = (value) => count(value, locale());
  const ms = (value) => milliseconds(value, locale());
  const failing = sum(now.failures_per_second);
  const tiles = [
    ["purchases", say(now.purchases_per_second), t("live.perSecond")],
    ["refusals", say(sum(now.refusals_per_second)), t("live.perSecond")],
    ["failures", say(failing), t("live.perSecond"), failing > 0 ? "bad" : ""],
    ["waiting", whole(now.waiting), now.longest_wait_ms === null ? "" : t("live.longest", { time: ms(now.longest_wait_ms) })],
    ["waits", ms(now.p50_ms), t("live.p99", { time: ms(now.p99_ms) })],
    ["batch", say(now.batch_size), t("live.perBatch")],
    ["transactions", whole(now.transactions_open), now.transactions_cap === null ? "" : t("live.cap", { cap: whole(now.transactions_cap) })],
    now.stock !== null && ["stock", whole(now.stock), t("live.sold", { sold: whole(now.sold) })],
    ["unpaid", whole(now.unpaid), t("live.expiring", { expiring: whole(now.expiring) }), now.expiring > 0 ? "warn" : ""],
  ].filter(Boolean);
  return html`<ul class="tiles">
    ${tiles.map(
      ([name, value, more, tone]) => html`<li key=${name} class="card tile" data-figure=${name}>
        <span class="muted small">${t(`live.${name}`)}</span>
        <strong class=${`number ${tone ? `tone-${tone}` : ""}`}>${value}</strong>
        <span class="muted small">${more}</span>
      </li>`,
    )}
  </ul>`;
}

const byCode = (values) => Object.entries(values).map(([code, list]) => ({ name: code, label: codeWord(code), values: list }));

function Charts({ live }) {
  const { series } = live;
  const time = { start: Date.parse(series.from), seconds: series.seconds };
  const ms = (value) => milliseconds(value, locale());
  const one = (name, more = {}) => ({ name, label: t(`live.${name}`), values: series[name], ...more });
  const refusals = byCode(series.refusals);
  const failures = byCode(series.failures);
  return html`<div class="charts">
    <${Chart} title=${t("live.chart.purchases")} ...${time} series=${[one("purchases", { filled: true })]} whole />
    <${Chart} title=${t("live.chart.refusals")} ...${time} series=${refusals.length ? refusals : [nothing(series, "refusals")]} whole />
    ${series.stock.some((value) => value !== null) && html`<${Chart} title=${t("live.chart.stock")} ...${time} series=${[one("stock", { step: true, filled: true })]} whole />`}
    <${Chart} title=${t("live.chart.queue")} ...${time} series=${[one("waiting", { filled: true })]} whole />
    <${Chart} title=${t("live.chart.waits")} ...${time} say=${ms} series=${["p50_ms", "p99_ms", "longest_wait_ms"].map((name) => one(name))} />
    <${Chart} title=${t("live.chart.batches")} ...${time} series=${[one("batch_size"), one("transactions_open", { step: true })]} />
    ${failures.length > 0 && html`<${Chart} title=${t("live.chart.failures")} ...${time} series=${failures} whole />`}
  </div>`;
}

const nothing = (series, name) => ({ name: "none", label: t(`live.${name}`), values: series.purchases.map(() => 0) });

function Items({ live, id }) {
  if (id || !live.items.length) return null;
  return html`<${Section} title=${t("live.items")}>
    <${Table}
      caption=${t("live.items")}
      columns=${[
        ["name", t("sales.name")],
        ["status", t("sales.status")],
        ["purchases", t("live.purchasesShort"), "number"],
        ["refusals", t("live.refusalsShort"), "number"],
        ["waiting", t("live.waiting"), "number"],
        ["transactions", t("live.transactions"), "number"],
        ["stock", t("sales.left"), "number"],
        ["unpaid", t("live.unpaid"), "number"],
      ]}
      rows=${live.items.map((item) => ({
        key: item.goods_id,
        attributes: { "data-goods-id": item.goods_id },
        name: html`<a href=${address("/admin/live", { goods_id: item.goods_id })}>${item.name}</a>`,
        status: item.alarm ? html`<${Badge} tone="bad">${t("live.alarmShort")}<//>` : html`<${SaleBadge} status=${item.status} />`,
        purchases: figure(item.purchases_per_second, locale()),
        refusals: figure(item.refusals_per_second, locale()),
        waiting: count(item.waiting, locale()),
        transactions: `${count(item.transactions_open, locale())} / ${count(item.transactions_cap, locale())}`,
        stock: count(item.stock, locale()),
        unpaid: count(item.unpaid, locale()),
      }))}
    />
  <//>`;
}
