// A visitor's orders, live: time left to pay, pay and cancel without leaving the page.

import { client, codeOf, messageOf, showOutcome, signedIn, t } from "./page.js";
import { remaining } from "./shown.js";
import { badge, write } from "./sale.js";

const EVERY = 10_000; // milliseconds between two looks while something is to be paid
const LATER = 1500; // after an order's time is over: as soon as the service will have noticed
const TONES = { pending: "warn", paid: "good", refund_due: "info" };

export function start() {
  if (!signedIn) return;
  const rows = () => [...document.querySelectorAll("[data-order-no]")];
  const open = () => rows().filter((row) => row.dataset.status === "pending");
  let looking = null;

  for (const form of document.querySelectorAll("form[data-act]")) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      act(form.closest("[data-order-no]"), form.dataset.act);
    });
  }
  if (!open().length) return;
  learnTheTime(open()[0]);
  setInterval(tick, 1000);
  setInterval(() => !document.hidden && open().length && look(), EVERY);
  document.addEventListener("visibilitychange", () => !document.hidden && open().length && look());

  function tick() {
    const now = client.clock.now();
    if (now === null) return;
    for (const row of open()) {
      const left = Date.parse(row.dataset.expiresAt) - now;
      write(row.querySelector(".left-to-pay .muted"), t("pay_within"));
      write(row.querySelector('[role="timer"]'), left > 0 ? remaining(left) : t("time_over"));
      if (left <= 0 && !row.dataset.over) {
        row.dataset.over = "true";
        setTimeout(look, LATER);
      }
    }
  }

  function look() {
    looking ??= Promise.all(open().map((row) => client.order(row.dataset.orderNo).then((order) => show(row, order))))
      .catch(() => {}) // the next look shows it
      .finally(() => (looking = null));
    return looking;
  }

  async function act(row, verb) {
    if (row.dataset.busy) return;
    row.dataset.busy = "true";
    showOutcome(t("working"));
    try {
      const order = await client[verb](row.dataset.orderNo);
      show(row, order);
      showOutcome(t(`outcome.${verb === "pay" ? "paid" : "cancelled"}`), { code: order.status, good: true });
    } catch (error) {
      showOutcome(messageOf(error), { code: codeOf(error) });
      await look();
    } finally {
      delete row.dataset.busy;
    }
  }
}

/** The clock of the client is set by the answers of sales: of one that the visitor has bought in. */
function learnTheTime(row) {
  const watch = client.watchSale(row.dataset.goodsId, ({ now }) => now !== null && watch?.stop());
}

function show(row, order) {
  if (row.dataset.status === order.status) return;
  row.dataset.status = order.status;
  badge(row.querySelector("[data-state]"), t(`order.${order.status}`), TONES[order.status]);
  if (order.status === "pending") return;
  row.querySelector(".left-to-pay")?.remove();
  row.querySelector(".do").replaceChildren();
}
