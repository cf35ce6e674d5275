// A sale on the page, live: its state, what is left, and the countdown on the server's clock.

import { remaining } from "./shown.js";
import { t } from "./page.js";

const TONES = { on_sale: "good", upcoming: "info", paused: "warn", sold_out: "bad" };

/** Show a sale as client.watchSale reports it. `root` is the item's element. */
export function showSale(root, view) {
  if (!view.sale) return;
  const { stock, sold } = view.sale;
  root.dataset.status = view.status;
  badge(root.querySelector("[data-state]"), t(`status.${view.status}`), TONES[view.status]);
  write(root.querySelector("[data-left]"), stock ? t("left", { n: stock }) : t("none_left"));
  const putUp = stock + sold;
  const share = t("sold_share", { n: putUp ? Math.floor((100 * sold) / putUp) : 100 });
  write(root.querySelector("[data-sold]"), share);
  const bar = root.querySelector("progress");
  bar.max = putUp || 1;
  bar.value = putUp ? sold : 1;
  bar.setAttribute("aria-label", share);
  countdown(root.querySelector(".countdown"), view);
}

function countdown(line, view) {
  const kind = view.ahead;
  line.hidden = kind === null;
  const [to, left] = kind === "start" ? [view.sale.starts_at, view.startsIn] : [view.sale.ends_at, view.endsIn];
  if (kind === null || left === null) return;
  const time = line.querySelector("time") ?? addTimer(line);
  write(line.querySelector("span"), t(kind === "start" ? "starts_in" : "ends_in"));
  time.dateTime = to;
  time.dataset.kind = kind;
  time.dataset.counts = "";
  write(time, remaining(left));
}

function addTimer(line) {
  const label = document.createElement("span");
  label.className = "muted";
  label.id = `countdown-${line.closest("[data-goods-id]").dataset.goodsId}`;
  const time = document.createElement("time");
  time.setAttribute("role", "timer");
  time.setAttribute("aria-labelledby", label.id);
  line.replaceChildren(label, " ", time);
  return time;
}

/** A badge's text and tone. */
export function badge(element, text, tone) {
  write(element, text);
  if (tone) element.dataset.tone = tone;
  else delete element.dataset.tone;
}

/** Change a text only where it changes: what stays is not drawn, and not read, again. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
