// An item: the sale live, the button that wakes at the start, and buying once.

import { client, codeOf, messageOf, say, showOutcome, signedIn, t } from "./page.js";
import { announcer, clockTime, money } from "./shown.js";
import { createQuote } from "./quote.js";
import { showSale } from "./sale.js";

const ADDRESS = ["name", "phone", "region", "line1", "line2", "postcode"];
const QUOTE_WAIT = 1500; // milliseconds that a purchase waits for the price that the visitor is about to see

export function start() {
  const root = document.querySelector(".offer");
  const goodsId = root.dataset.goodsId;
  const form = document.getElementById("buy");
  const button = document.getElementById("buy-button");
  const quote = createQuote(root, goodsId, { choices: () => choices(form), mark: (errors) => mark(form, errors) });
  const watch = client.watchSale(goodsId, follow(root, button));
  let buying = false;

  // Fields outside of the form belong to it all the same; their events pass by the card that holds both.
  form.parentElement.addEventListener("input", quote.changed);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!signedIn) return promptSignIn();
    buy();
  });
  if (signedIn) goOn();

  async function goOn() {
    // The key is made before the first click. A purchase that a reload has cut short goes on by itself.
    await client.prepare(goodsId);
    const begun = await client.pending(goodsId);
    if (begun?.recent) buy(begun.body);
  }

  async function buy(begun) {
    if (buying) return;
    buying = true;
    button.setAttribute("aria-disabled", "true");
    showOutcome(t("buying"));
    const progress = createProgress();
    try {
      const wanted = begun ?? (await withTotal());
      const { order } = await client.buy(goodsId, wanted, { onProgress: progress.show });
      progress.end();
      showOutcome(words(order, root), {
        code: "bought",
        good: true,
        link: { href: `/shop/orders#order-${order.order_no}`, text: t("see_order") },
      });
    } catch (error) {
      progress.end();
      if (error.details?.quote) quote.show(error.details.quote);
      mark(form, error.details?.errors ?? []);
      const patient = error.status === 0 || error.status >= 500 || error.status === 401;
      showOutcome(messageOf(error), { code: codeOf(error), tone: patient ? "warn" : "bad" });
    } finally {
      buying = false;
      button.removeAttribute("aria-disabled");
      watch.refresh();
      client.prepare(goodsId).catch(() => {});
    }
  }

  async function withTotal() {
    const total = await quote.settled(QUOTE_WAIT);
    const wanted = choices(form);
    return total === null ? wanted : { ...wanted, expected_total: total };
  }
}

/** Shows the sale, and wakes the button at the start. */
function follow(root, button) {
  const toStart = announcer("said.start");
  const toEnd = announcer("said.end");
  let before = root.dataset.status;
  return (view) => {
    if (!view.sale) return;
    showSale(root, view);
    button.disabled = view.ahead === "start";
    if (view.ahead === "start" && view.startsIn !== null) toStart(view.startsIn);
    else if (view.ahead === "end" && view.endsIn !== null) toEnd(view.endsIn);
    if (before === "upcoming" && view.status === "on_sale") say(t("said.started"));
    if (before !== "ended" && view.status === "ended") say(t("said.over"));
    before = view.status;
  };
}

/** What is filled in, as the API takes it. What is left empty is left out. */
function choices(form) {
  const typed = (name) => (new FormData(form).get(name) ?? "").trim();
  const quantity = typed("quantity");
  const wanted = { quantity: /^\d{1,9}$/.test(quantity) ? Number(quantity) : quantity };
  for (const name of ["coupon_code", "shipping_method"]) if (typed(name)) wanted[name] = typed(name);
  const address = Object.fromEntries(ADDRESS.map((name) => [name, typed(name)]).filter(([, value]) => value));
  if (Object.keys(address).length) wanted.address = address;
  return wanted;
}

/** Mark the fields that are wrong, and no others. */
function mark(form, errors) {
  const card = form.parentElement;
  for (const old of card.querySelectorAll(".error")) old.remove();
  for (const field of card.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  let first = null;
  for (const { field, detail } of errors) {
    const name = String(field).replace("address.", "");
    const control = form.elements[name];
    const input = control instanceof RadioNodeList ? control[0].closest("fieldset") : control?.type === "radio" ? control.closest("fieldset") : control;
    if (!input) continue;
    const text = document.createElement("p");
    text.className = "error";
    text.id = `${name}-error`;
    text.textContent = detail;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", text.id);
    if (input instanceof HTMLFieldSetElement) input.append(text);
    else input.after(text);
    first ??= input;
  }
  return first;
}

function promptSignIn() {
  showOutcome(t("outcome.unauthenticated"), { code: "unauthenticated", tone: "warn" });
  const field = document.getElementById("visitor") ?? document.querySelector("#sign-in summary");
  field.focus({ preventScroll: false });
}

function words(order, root) {
  if (order.status === "paid") return t("outcome.bought_paid");
  if (order.status !== "pending") return t("outcome.bought_other");
  const style = { prefix: root.dataset.prefix, decimals: Number(root.dataset.decimals) };
  return t("outcome.bought", { total: money(order.total, style), time: clockTime(order.expires_at) });
}

/** Says what a purchase is waiting for, second by second. */
function createProgress() {
  let timer = null;
  const end = () => clearInterval(timer);

  function show(progress) {
    end();
    if (progress.state === "other_tab") return showOutcome(t("in_line"));
    if (progress.state === "sending") return showOutcome(progress.attempt > 1 ? t("in_line") : t("buying"));
    const key = ["busy", "rate_limited", "unavailable"].includes(progress.code) ? progress.code : "offline";
    const until = performance.now() + progress.wait;
    const count = () => {
      const n = Math.max(1, Math.ceil((until - performance.now()) / 1000));
      showOutcome(t("again_in", { why: t(`why.${key}`), n }), { tone: "warn" });
    };
    count();
    timer = setInterval(count, 1000);
  }

  return { show, end };
}
