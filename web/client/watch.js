// Watching a sale: one request at a time, seldom far from the start, and none where nobody looks.

import { attempt } from "./platform.js";
import { JITTER } from "./transport.js";

const SECOND = 1000;
const LONGEST = 60 * SECOND;

/** The status at `now`: the start and the end come by the clock, without waiting for the next answer. */
export function statusAt(sale, now) {
  if (now === null || sale.status === "ended") return sale.status;
  if (sale.ends_at && now >= Date.parse(sale.ends_at)) return "ended";
  if (sale.status !== "upcoming" || now < Date.parse(sale.starts_at)) return sale.status;
  return sale.stock > 0 ? "on_sale" : "sold_out";
}

/** What comes next, the "start" or the "end", or null. A paused sale may not have begun. */
function comesNext(sale, status, startsIn) {
  if (status === "upcoming" || (status === "paused" && startsIn)) return "start";
  return sale?.ends_at && status !== "ended" ? "end" : null;
}

/** Milliseconds until the next request. Nobody has touched the page for `untouched` milliseconds. */
export function pollAfter(status, startsIn, untouched) {
  const after = (value, steps) => SECOND * steps.find(([limit]) => value < limit * SECOND)[1];
  if (status === "ended") return LONGEST;
  if (status === "upcoming") return after(startsIn, [[30, 5], [120, 10], [600, 60], [3600, 120], [Infinity, 300]]);
  // Units go and come back, sales are paused and go on: who is there sees it soon.
  return after(untouched, [[60, 4], [300, 15], [Infinity, 120]]);
}

/** Watches an item's sale for any number of callbacks. `onIdle` is called when the last one has stopped. */
export function createWatcher(id, { transport, clock, platform, onIdle }) {
  const callbacks = new Set();
  const { document, window } = platform;
  const isHidden = () => document?.visibilityState === "hidden";
  let sale = null;
  let etag = null;
  let error = null;
  let failures = 0;
  let running = null;
  let pollTimer;
  let tickTimer;
  let seen = null; // the last status
  let touchedAt = 0;
  let polledAt = 0;
  let spread = 0; // milliseconds that the service asks to wait, since many pages are open
  let timeless = false; // the last answer did not carry the time, as behind a proxy that takes headers off

  function state() {
    const now = clock.now();
    const until = (time) => (time && now !== null ? Math.max(0, Date.parse(time) - now) : null);
    const status = sale && statusAt(sale, now);
    const startsIn = sale && until(sale.starts_at);
    const ahead = comesNext(sale, status, startsIn);
    return { goodsId: id, sale, error, now, status, startsIn, endsIn: sale && until(sale.ends_at), ahead };
  }

  const call = (callback, shown) => attempt(() => callback(shown));

  function show() {
    const shown = state();
    // What the clock says is checked soon, but not by all pages at the same moment.
    if (seen === "upcoming" && shown.status !== "upcoming") schedule(SECOND);
    if (seen !== shown.status) touchedAt = platform.now();
    seen = shown.status;
    for (const callback of [...callbacks]) call(callback, shown);
    tick(shown);
  }

  function tick({ startsIn, endsIn, ahead }) {
    platform.clearTimeout(tickTimer);
    const left = ahead === "start" ? startsIn : endsIn;
    if (!left || isHidden() || !callbacks.size) return;
    // At the full seconds of what is left, so that the last one is the start itself.
    tickTimer = platform.setTimeout(() => {
      if (clock.jumped() && !error) refresh();
      show();
    }, (left % SECOND || SECOND) + 1);
  }

  function schedule(wait, least = 1 - JITTER) {
    platform.clearTimeout(pollTimer);
    if (!callbacks.size || isHidden()) return;
    pollTimer = platform.setTimeout(poll, wait * (least + (1 + JITTER - least) * platform.random()));
  }

  async function load() {
    // A request without ETag is no open page's, and learns nothing of the others. Its answer surely carries the time.
    const known = timeless || clock.jumped() ? null : etag;
    const answer = await transport.send("GET", `/seckill/${encodeURIComponent(id)}`, { etag: known });
    if (known) spread = Math.min(answer.pollAfter, LONGEST);
    // What a cache has kept has an old time in its body, and a new one in its headers.
    timeless = !clock.add(answer.serverTime ?? answer.body?.server_time, answer);
    if (answer.body) ({ etag, body: sale } = answer);
  }

  async function poll() {
    if (running) return;
    let wait;
    polledAt = platform.now();
    try {
      await (running = load());
      error = null;
      failures = 0;
      const { status, startsIn } = state();
      wait = clock.isStale() ? SECOND : Math.max(spread, pollAfter(status, startsIn, platform.now() - touchedAt));
    } catch (failure) {
      error = failure;
      if (failure.status === 404) wait = LONGEST;
      else wait = Math.max(Math.min(2 * SECOND * 2 ** failures++, LONGEST), failure.retryAfter ?? 0);
    } finally {
      running = null;
    }
    if (!callbacks.size) return;
    // What the service asks for is the least.
    schedule(wait, error ? 1 : Math.min(1, Math.max(1 - JITTER, spread / wait)));
    show();
  }

  function refresh() {
    platform.clearTimeout(pollTimer);
    return poll();
  }

  function touch() {
    const left = platform.now() - touchedAt > 60 * SECOND; // so that it polls seldom
    touchedAt = platform.now();
    const wait = polledAt + Math.max(4 * SECOND, spread) - touchedAt;
    if (!error && (wait < 0 || left)) schedule(wait, 1);
  }

  function look() {
    touchedAt = platform.now();
    platform.clearTimeout(pollTimer);
    platform.clearTimeout(tickTimer);
    if (!isHidden()) refresh();
  }

  function listen(how) {
    document?.[how]("visibilitychange", look);
    window?.[how]("pageshow", look);
    window?.[how]("online", look);
    window?.[how]("pointermove", touch);
    window?.[how]("pointerdown", touch);
    window?.[how]("keydown", touch);
  }

  return {
    refresh,
    add(callback) {
      callbacks.add(callback);
      if (callbacks.size === 1) {
        listen("addEventListener");
        look();
      } else if (sale || error) {
        call(callback, state());
      }
    },
    remove(callback) {
      if (!callbacks.delete(callback) || callbacks.size) return;
      platform.clearTimeout(pollTimer);
      platform.clearTimeout(tickTimer);
      listen("removeEventListener");
      onIdle();
    },
  };
}
