// Orders: looking for them, what needs a hand, and the export.
import { html, useEffect, useRef, useState } from "../lib.js";
import { api } from "../service.js";
import { exportOrders } from "../export_orders.js";
import { address, navigate, path } from "../router.js";
import { count, fromLocalInput, toLocalInput, zone } from "../format.js";
import { language, locale, t } from "../i18n.js";
import { useLoad, usePages } from "../parts/hooks.js";
import { Button, Failure, Head, Loaded, More } from "../parts/ui.js";
import { ORDER_STATES } from "../parts/sale_words.js";
import { OrderTable } from "../parts/order_table.js";

const ORDER_NO = /^[0-9a-f]{32}$/;
const FILTERS = ["status", "goods_id", "user_id", "purchased_from", "purchased_to"];
const filtersOf = (query) => Object.fromEntries(FILTERS.map((name) => [name, query[name] ?? ""]));

export function Orders({ query }) {
  const filters = filtersOf(query);
  const pages = usePages(
    (cursor, signal) => api.get(address("/orders", { ...filters, cursor, limit: 50 }), { signal }),
    FILTERS.map((name) => filters[name]),
  );
  const given = FILTERS.some((name) => filters[name]);
  return html`
    <${Head} title=${t("nav.orders")}><${Export} filters=${filters} /><//>
    <${NeedsHand} />
    <div class="card stack">
      <${Search} key=${JSON.stringify(filters)} filters=${filters} given=${given} />
      <${Loaded} state=${pages}>
        ${(page) => html`
          <${OrderTable} orders=${page.items} empty=${t(given ? "orders.nothingFound" : "orders.nothing")} />
          <${More} pages=${pages} />
        `}
      <//>
    </div>
  `;
}

/** A word at the top of what waits for an operator; nothing where nothing does. */
function NeedsHand() {
  const state = useLoad(
    async (signal) => {
      const [orders, payments] = await Promise.all([
        api.get("/orders?status=refund_due&limit=100", { signal }),
        api.get("/payments?resolved=false&limit=100", { signal }),
      ]);
      const say = (page) => (page.next_cursor ? `${page.items.length}+` : count(page.items.length, locale()));
      return [
        orders.items.length > 0 && t("orders.refundsWait", { count: say(orders) }),
        payments.items.length > 0 && t("orders.paymentsWait", { count: say(payments) }),
      ].filter(Boolean);
    },
    [language()],
  );
  if (!state.data?.length) return null;
  return html`<p class="notice" data-tone="bad">
    <strong>${state.data.join(" ")}</strong> <a href="/admin/orders/attention">${t("orders.lookAfter")}</a>
  </p>`;
}

function Search({ filters, given }) {
  const [typed, setTyped] = useState({
    ...filters,
    purchased_from: toLocalInput(filters.purchased_from),
    purchased_to: toLocalInput(filters.purchased_to),
    number: "",
  });
  const [problem, setProblem] = useState(null);
  const set = (name) => (event) => {
    setProblem(null);
    setTyped({ ...typed, [name]: event.target.value });
  };
  const submit = (event) => {
    event.preventDefault();
    const number = typed.number.trim().toLowerCase();
    if (number && !ORDER_NO.test(number)) return setProblem("number");
    if (number) return navigate(path("admin", "orders", number));
    if (typed.goods_id && !/^[1-9]\d{0,18}$/.test(typed.goods_id.trim())) return setProblem("goods_id");
    const time = (name) => (typed[name] ? fromLocalInput(typed[name]) : "");
    navigate(address("/admin/orders", {
      status: typed.status,
      goods_id: typed.goods_id.trim(),
      user_id: typed.user_id.trim(),
      purchased_from: time("purchased_from"),
      purchased_to: time("purchased_to"),
    }));
  };
  const input = (name, label, more = {}) => html`<div class="field">
    <label for=${`orders-${name}`}>${t(label)}</label>
    <input
      id=${`orders-${name}`}
      type="text"
      autocomplete="off"
      spellcheck="false"
      value=${typed[name]}
      aria-invalid=${problem === name ? "true" : undefined}
      aria-describedby=${problem === name ? `orders-${name}-problem` : undefined}
      onInput=${set(name)}
      ...${more}
    />
    ${problem === name && html`<p class="error" id=${`orders-${name}-problem`}>${t(`orders.problem.${name}`)}</p>`}
  </div>`;
  return html`<form class="filters" role="search" onSubmit=${submit} noValidate>
    ${input("number", "orders.number")} ${input("user_id", "orders.user")}
    <div class="field">
      <label for="orders-status">${t("orders.status")}</label>
      <select id="orders-status" value=${typed.status} onChange=${set("status")}>
        <option value="">${t("all")}</option>
        ${ORDER_STATES.map((name) => html`<option key=${name} value=${name} selected=${name === typed.status}>${t(`order.${name}`)}</option>`)}
      </select>
    </div>
    <details class="all" open=${Boolean(filters.goods_id || filters.purchased_from || filters.purchased_to)}>
      <summary>${t("orders.moreFilters")}</summary>
      <div class="filters">
        ${input("goods_id", "orders.itemNumber", { inputmode: "numeric" })}
        ${input("purchased_from", "orders.from", { type: "datetime-local", step: 1 })}
        ${input("purchased_to", "orders.to", { type: "datetime-local", step: 1 })}
      </div>
      <p class="muted small">${t("app.zone", { zone: zone() })}</p>
    </details>
    <div class="row all">
      <${Button} submit kind="primary">${t("search")}<//>
      ${given && html`<a class="button quiet" href="/admin/orders">${t("clear")}</a>`}
    </div>
  </form>`;
}

function Export({ filters }) {
  const [state, setState] = useState({ busy: false, error: null });
  const running = useRef(null);
  useEffect(() => () => running.current?.abort(), []);
  const press = async () => {
    if (running.current) return running.current.abort();
    running.current = new AbortController();
    setState({ busy: true, error: null });
    try {
      await exportOrders(address("/orders/export", filters), { signal: running.current.signal });
      setState({ busy: false, error: null });
    } catch (error) {
      setState({ busy: false, error: error.name === "AbortError" ? null : error });
    }
    running.current = null;
  };
  return html`
    <${Button} onPress=${press}>${t(state.busy ? "orders.exporting" : "orders.export")}<//>
    ${state.error && html`<${Failure} error=${state.error} />`}
  `;
}
