// One sale: how it stands, what can be done with it, whether it is ready, and what was done.
import { html, useEffect, useState } from "../lib.js";
import { api } from "../service.js";
import { path } from "../router.js";
import { count, money } from "../format.js";
import { locale, t } from "../i18n.js";
import { seconds, usePoll } from "../parts/hooks.js";
import { Facts, Failure, Head, Loaded, Section, Time } from "../parts/ui.js";
import { SaleBadge, Window } from "../parts/sale_words.js";
import { SaleControls } from "../parts/sale_controls.js";
import { Readiness } from "../parts/readiness.js";
import { History } from "../parts/history.js";

const EVERY_S = 2;

export function Sale({ id }) {
  const poll = usePoll(
    async (signal) => {
      const [goods, live] = await Promise.all([
        api.get(path("goods", id), { signal }),
        api.get(path("seckill", id), { signal }),
      ]);
      return { goods, live, ahead: Date.parse(live.server_time) - Date.now() };
    },
    EVERY_S,
    [id],
  );
  const { data, error } = poll;
  const changed = (goods) => {
    poll.set({ ...data, goods });
    poll.now();
  };
  const page = path("admin", "sales", id);
  const title = data?.goods.name ?? t("sale.title", { id });
  return html`
    <${Head} title=${title} back=${{ href: "/admin/sales", text: t("nav.sales") }}>
      ${data && html`<a class="button" href=${`${page}/edit`}>${t("edit")}</a> <a class="button" href=${`${page}/report`}>${t("sale.report")}</a>`}
    <//>
    <${Loaded} state=${{ data, error: null, reload: poll.now, ...(data ? {} : { error }) }}>
      ${({ goods, live, ahead }) => html`
        ${error && html`<${Failure} error=${error} />`}
        <${State} goods=${goods} live=${live} ahead=${ahead} />
        <div class="columns uneven">
          <div class="stack"><${SaleControls} goods=${goods} onChanged=${changed} /></div>
          <div class="stack"><${Readiness} goods=${goods} /><${History} goods=${goods} /></div>
        </div>
      `}
    <//>
  `;
}

/** How the sale stands, and what buyers see of it now. */
function State({ goods, live, ahead }) {
  const sum = goods.stock + goods.sold;
  return html`<${Section} title=${t("sale.state")} class="state" actions=${html`<${SaleBadge} status=${goods.status} />`}>
    <p class="seen">${t(`sale.seen.${goods.status}`, { left: count(goods.stock, locale()) })} <${Countdown} goods=${goods} ahead=${ahead} /></p>
    <div class="figures">
      <${Figure} name="sales.left" value=${count(goods.stock, locale())} id="stock" />
      <${Figure} name="sales.sold" value=${count(goods.sold, locale())} id="sold" />
      <${Figure} name="sale.inProgress" value=${count(live.in_progress, locale())} id="in_progress" />
      <${Figure} name="sales.price" value=${money(goods.price, goods.currency, locale())} id="price" />
    </div>
    <progress max=${Math.max(1, sum)} value=${goods.sold} aria-label=${t("sale.share")}></progress>
    <${Facts}
      of=${[
        [t("sales.window"), html`<${Window} goods=${goods} />`],
        [t("sales.perUserLimit"), goods.per_user_limit === null ? t("noLimit") : count(goods.per_user_limit, locale())],
        [t("sales.orderLimit"), `${count(live.order_limit, locale())}${goods.order_limit === null ? ` (${t("sale.byDefault")})` : ""}`],
        [t("sale.changed"), html`<${Time} at=${goods.updated_at} />`],
      ]}
    />
  <//>`;
}

const Figure = ({ name, value, id }) =>
  html`<div class="figure" data-figure=${id}><span class="muted small">${t(name)}</span><strong class="number">${value}</strong></div>`;

/** The time until the start or the end, by the service's clock. */
function Countdown({ goods, ahead }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const until = (time) => (time ? (Date.parse(time) - now - ahead) / 1000 : null);
  // A paused sale may not have begun.
  const isBeforeStart = ["upcoming", "paused"].includes(goods.status) && until(goods.starts_at) > 0;
  const what = isBeforeStart ? "starts_at" : "ends_at";
  const left = until(goods[what]);
  if (left === null || left <= 0 || goods.status === "ended") return null;
  return html`<span role="timer" aria-live="off">${t(`sale.countdown.${what}`, { time: seconds(left) })}</span>`;
}
