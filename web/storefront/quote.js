// The price as the visitor types: requested a moment after the last change.

import { client, messageOf, signedIn, t } from "./page.js";
import { money } from "./shown.js";
import { write } from "./sale.js";

const PAUSE = 300; // milliseconds after a change
const OPEN = { name: "-", phone: "000", line1: "-", postcode: "0" }; // of an address a quote needs the region alone

/**
 * Keeps the quote of a form. `choices()` returns what is filled in, `mark(errors)` shows what is wrong with it.
 *
 * `settled(wait)` resolves, within that time, to the total that the visitor sees for what is filled in now; null where
 * none is known.
 */
export function createQuote(root, goodsId, { choices, mark }) {
  const shown = document.getElementById("quote");
  const note = document.getElementById("quote-note");
  const amount = (name) => shown.querySelector(`[data-amount="${name}"]`);
  const style = { prefix: root.dataset.prefix, decimals: Number(root.dataset.decimals) };
  const requestOf = ({ expected_total, address, ...rest }) => JSON.stringify({ ...rest, region: address?.region });
  let known = { for: requestOf(choices()), total: Number(shown.dataset.quoteTotal) };
  let timer = null;
  let running = null;
  let controller = null;

  function changed() {
    controller?.abort();
    clearTimeout(timer);
    mark([]);
    if (requestOf(choices()) === known.for) return calm("");
    if (!signedIn) return unknown(t("sign_in_for_price"));
    shown.setAttribute("aria-busy", "true");
    timer = setTimeout(() => (running = fetchQuote()), PAUSE);
  }

  async function fetchQuote() {
    timer = null;
    controller = new AbortController();
    const { signal } = controller;
    const wanted = choices();
    try {
      show(await client.quote(goodsId, forQuote(wanted), { signal }), wanted);
    } catch (error) {
      if (signal.aborted) return;
      mark(error.details?.errors ?? [fieldOf(error.code)].filter(Boolean).map((field) => ({ field, detail: messageOf(error) })));
      unknown(error.code === "validation_failed" || fieldOf(error.code) ? "" : t("price_unknown"));
    }
  }

  function forQuote({ expected_total, address, ...rest }) {
    return address?.region ? { ...rest, address: { ...OPEN, region: address.region } } : rest;
  }

  /** Show a quote, for what was sent. */
  function show(quote, wanted = choices()) {
    known = { for: requestOf(wanted), total: quote.total };
    shown.dataset.quoteTotal = quote.total;
    for (const name of ["subtotal", "shipping_fee", "total"]) if (amount(name)) write(amount(name), money(quote[name], style));
    write(amount("discount"), money(-quote.discount, style));
    for (const element of shown.querySelectorAll('[data-amount="discount"], [data-line="discount"]')) {
      element.hidden = quote.discount === 0;
    }
    for (const method of quote.shipping_methods) showMethod(method);
    calm("");
  }

  function showMethod({ code, fee, reason }) {
    const line = document.querySelector(`[data-method="${CSS.escape(code)}"]`);
    if (!line) return;
    write(line.querySelector("[data-fee]"), fee === null ? "" : fee === 0 ? t("free") : money(fee, style));
    write(line.querySelector("[data-reason]"), reason ? t(`reason.shipping_not_available.${reason}`) : "");
  }

  function unknown(text) {
    delete shown.dataset.quoteTotal;
    known = { for: null, total: null };
    write(amount("total"), "–");
    calm(text);
  }

  function calm(text) {
    shown.removeAttribute("aria-busy");
    write(note, text);
  }

  async function settled(wait) {
    if (timer !== null) {
      clearTimeout(timer);
      running = fetchQuote();
    }
    await Promise.race([running, new Promise((resolve) => setTimeout(resolve, wait))]);
    return known.for === requestOf(choices()) ? known.total : null;
  }

  return { changed, show, settled };
}

function fieldOf(code) {
  if (code.startsWith("coupon_")) return "coupon_code";
  return code === "shipping_not_available" ? "shipping_method" : null;
}
