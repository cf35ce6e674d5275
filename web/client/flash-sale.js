// <flash-sale goods="1">: an item with its countdown and its button, on any page. README.md explains it.

import { STYLE } from "./element-style.js";
import { announcement, countdown, priceIn, textsIn } from "./element-texts.js";
import { attempt } from "./platform.js";
import { createClient } from "./seckill.js";

export { createClient, SeckillError } from "./seckill.js";

const REST = 3000; // milliseconds after a purchase in which the button takes no click
const HERE = new URL(import.meta.url).origin;
const shared = {};
const elements = new Set();

/** What all elements of the page have in common: {token, getToken, user, service}. */
export function configure(options) {
  Object.assign(shared, options);
  for (const element of elements) element.restart();
}

function make(name, part, attributes = {}, ...children) {
  const node = document.createElement(name);
  node.part = part;
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export class FlashSale extends (globalThis.HTMLElement ?? Object) {
  static observedAttributes = ["goods", "service", "lang"];
  #own = {};
  #parts = null;
  #client = null;
  #watch = null;
  #goods = null;
  #view = null;
  #busy = null; // the AbortController of a purchase
  #restUntil = 0;
  #left = Infinity; // what was left until the start at the last announcement
  #waitTimer = 0;
  #starting = false;

  /** The buyer's token. */
  set token(token) {
    this.#set({ token, getToken: undefined });
  }

  /** Called for a token ahead of each request: ({renew}) => token, or a promise of it. */
  set getToken(getToken) {
    this.#set({ token: undefined, getToken });
  }

  /** What to buy beside the quantity: a coupon, and the shipping method and address of an item that is shipped. */
  set choices(choices) {
    this.#own.choices = choices;
    if (this.#parts) this.#show();
  }

  get choices() {
    return this.#own.choices ?? {};
  }

  #set(options) {
    Object.assign(this.#own, options);
    this.restart();
  }

  connectedCallback() {
    // Properties that were set before this script was loaded.
    for (const name of ["token", "getToken", "choices"]) {
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    elements.add(this);
    this.restart();
  }

  disconnectedCallback() {
    elements.delete(this);
    this.#stop();
  }

  attributeChangedCallback() {
    this.restart();
  }

  get #service() {
    return (this.getAttribute("service") ?? shared.service ?? HERE).replace(/\/+$/, "");
  }

  get #language() {
    return this.closest("[lang]")?.lang || navigator.language || "en";
  }

  get #texts() {
    return textsIn(this.#language);
  }

  get #id() {
    return this.getAttribute("goods") ?? "";
  }

  #stop() {
    this.#watch?.stop();
    this.#busy?.abort();
    clearTimeout(this.#waitTimer);
    this.#watch = this.#busy = null;
  }

  /** Begins anew: with another item, language, or buyer. */
  restart() {
    if (this.#starting) return;
    this.#starting = true; // once for all that is set at a time
    queueMicrotask(() => {
      this.#starting = false;
      if (this.isConnected && this.#id) this.#start();
    });
  }

  #start() {
    this.#stop();
    this.#build();
    const { getToken = this.#own.token === undefined ? shared.getToken : undefined, token = shared.token } = this.#own;
    const user = shared.user;
    const client = createClient({ baseUrl: this.#service, token, getToken, user, language: this.#language });
    this.#client = client;
    const mine = (run) => (value) => this.#client === client && run(value);
    this.#load(client);
    this.#watch = client.watchSale(this.#id, mine((view) => this.#seen(view)));
    if (!token && !getToken) return;
    client.prepare(this.#id).catch(() => {}); // signed out
    client.pending(this.#id).then(mine((pending) => pending?.recent && this.#buy(pending.body)), () => {});
  }

  async #load(client) {
    const goods = await client.goods(this.#id).catch(() => null); // the watch shows what is wrong
    if (!goods || this.#client !== client) return;
    this.#goods = goods;
    this.#show();
  }

  #build() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open", delegatesFocus: true });
    if (!root.adoptedStyleSheets.length) {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet];
    }
    const texts = this.#texts;
    const parts = (this.#parts = {
      image: make("img", "image", { alt: "", loading: "lazy", referrerpolicy: "no-referrer", hidden: "" }),
      name: make("h2", "name"),
      price: make("span", "price"),
      list: make("s", "list-price"),
      stock: make("span", "stock"),
      state: make("span", "state"),
      label: make("span", "countdown-label"),
      timer: make("span", "countdown", { role: "timer", hidden: "" }),
      quantity: make("input", "quantity", { type: "number", min: 1, value: 1, "aria-label": texts.quantity, hidden: "" }),
      button: make("button", "button", { disabled: "" }, texts.buy),
      link: make("a", "link", { hidden: "" }, texts.delivery),
      message: make("p", "message", { role: "status" }),
      wait: make("p", "wait", { "aria-hidden": "true" }),
      status: make("p", "unseen", { role: "status" }),
    });
    const { image, name, price, list, stock, state, label, timer, quantity, button, link, message, wait, status } = parts;
    image.addEventListener("error", () => (image.hidden = true));
    const form = make("form", "form", { novalidate: "" }, quantity, button, link);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#click();
    });
    root.replaceChildren(
      image,
      name,
      make("div", "line", {}, price, list, stock),
      make("div", "line", {}, state, label, timer),
      form,
      message,
      wait,
      status,
    );
  }

  #seen(view) {
    if (view.startsIn !== null) {
      const text = announcement(this.#left, view.startsIn, this.#texts);
      if (text && this.#left !== Infinity) this.#parts.status.textContent = text;
      this.#left = view.startsIn;
    }
    const before = this.#view?.status;
    this.#view = view;
    if (before === "upcoming" && view.status === "on_sale") this.#parts.status.textContent = this.#texts.on_sale;
    if (!view.sale && view.error && !this.#busy) this.#say(view.error.code, this.#explain(view.error));
    this.#show();
  }

  /** Puts what is known into the parts. */
  #show() {
    const { image, name, price, list, stock, state, label, timer, quantity, button, link } = this.#parts;
    const [goods, view, texts] = [this.#goods, this.#view, this.#texts];
    if (goods) {
      const amount = (value) => priceIn(this.#language, goods.currency, value);
      if (/^https?:/.test(goods.image_url) && image.src !== goods.image_url) {
        image.src = goods.image_url;
        image.hidden = false;
      }
      name.textContent = goods.name;
      price.textContent = amount(goods.price);
      list.textContent = goods.list_price > goods.price ? amount(goods.list_price) : "";
      const most = Math.min(goods.per_user_limit ?? 1000, 1000);
      quantity.max = most;
      quantity.hidden = most === 1;
      link.href = `${this.#service}/shop/${encodeURIComponent(this.#id)}`;
    }
    const elsewhere = Boolean(goods?.shippable && !this.choices.shipping_method);
    link.hidden = !elsewhere;
    button.hidden = elsewhere;
    if (elsewhere) quantity.hidden = true;
    if (!view?.sale) return;
    const { status } = view;
    this.dataset.status = status;
    stock.textContent = status === "ended" ? "" : texts.left(view.sale.stock);
    state.textContent = texts[status];
    const left = { start: view.startsIn, end: view.endsIn }[view.ahead] ?? null;
    label.hidden = timer.hidden = left === null;
    label.textContent = view.ahead === "start" ? texts.startsIn : texts.endsIn;
    timer.textContent = countdown(left, texts);
    // Disabled it would lose the focus in mid-purchase.
    button.setAttribute("aria-disabled", String(this.#isResting()));
    button.disabled = status !== "on_sale" && !this.#isResting();
  }

  #isResting() {
    return this.#busy !== null || performance.now() < this.#restUntil;
  }

  #click() {
    if (this.#isResting() || !this.#goods || this.#parts.button.disabled) return;
    const choices = this.choices;
    const { min, max, value } = this.#parts.quantity;
    const quantity = Math.min(Math.max(Math.floor(Number(value)) || 1, min), max);
    const body = { ...choices, quantity };
    // At the price that is shown, or not at all. With a coupon or shipping the page that chose them knows the total.
    if (!Object.keys(choices).length) body.expected_total = this.#goods.price * quantity;
    this.#buy(body);
  }

  async #buy(body) {
    const giving = (this.#busy = new AbortController());
    const [client, texts] = [this.#client, this.#texts];
    const isOver = () => giving.signal.aborted;
    const onProgress = (progress) => isOver() || this.#progress(progress);
    this.#show();
    let shown;
    try {
      const { order, replayed } = await client.buy(this.#id, body, { signal: giving.signal, onProgress });
      if (isOver()) return;
      this.#restUntil = performance.now() + REST;
      setTimeout(() => this.isConnected && this.#show(), REST + 50);
      this.#parts.button.textContent = texts.another;
      this.dataset.orderNo = order.order_no;
      const until = order.status === "pending" && this.#timeOf(order.expires_at);
      shown = ["bought", texts.bought(order.order_no) + (until ? ` ${texts.payUntil(until)}` : ""), { order, replayed }];
    } catch (error) {
      if (isOver()) return;
      const { code, status, retryAfter, details, unsettled } = error;
      shown = [code, this.#explain(error), { code, status, retryAfter, details, unsettled }];
      if (code === "price_changed") this.#load(client);
    }
    this.#busy = null;
    this.#endWait();
    const [code, text, detail] = shown;
    this.#say(code, text);
    this.#show();
    client.prepare(this.#id).catch(() => {});
    this.#watch?.refresh();
    const name = code === "bought" ? "flash-sale:bought" : "flash-sale:refused";
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  }

  #progress({ state, wait }) {
    this.#endWait();
    this.#say("", this.#texts[state]);
    if (state !== "waiting") return;
    const until = performance.now() + wait;
    const count = () => {
      const left = Math.max(0, Math.ceil((until - performance.now()) / 1000));
      this.#parts.wait.textContent = this.#texts.wait(left);
      this.#waitTimer = setTimeout(count, 1000);
    };
    count();
  }

  #endWait() {
    clearTimeout(this.#waitTimer);
    this.#parts.wait.textContent = "";
  }

  #say(code, text) {
    if (code) this.dataset.code = code;
    else delete this.dataset.code;
    if (this.#parts.message.textContent !== text) this.#parts.message.textContent = text;
  }

  #explain(error) {
    const texts = this.#texts;
    if (error.unsettled) return texts.unsettled;
    if (error.status === 0 && navigator.onLine === false) return texts.offline;
    if (["timeout", "invalid_answer"].includes(error.code)) return texts.network_error;
    return texts[error.code] ?? error.message;
  }

  #timeOf(time) {
    return attempt(() => new Intl.DateTimeFormat(this.#language, { timeStyle: "short" }).format(new Date(time)), "");
  }
}

if (globalThis.customElements && !customElements.get("flash-sale")) customElements.define("flash-sale", FlashSale);
