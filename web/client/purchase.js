// Buying once. The key of a purchase is stored before it is sent, and sent again until an answer settles it.

import { createAttempts, userOf } from "./attempts.js";
import { SeckillError, aborted, isTransient, isUnknown } from "./errors.js";
import { exclusively } from "./lock.js";
import { attempt } from "./platform.js";
import { sleep, waitAfter } from "./transport.js";

const ATTEMPTS = 14; // requests for an order that was placed
const TIME = 75_000; // milliseconds that one purchase takes at most, waits included
const DOUBLE_CLICK = 2000; // milliseconds
const AT_WORK = 4000; // milliseconds that the service may still be at a request that nobody waits for
const SURELY_DONE = 30_000; // after so many milliseconds it certainly is not
const RESUMED = 120_000; // milliseconds within which a page that is loaded again goes on by itself

export function createPurchases(transport, platform, { user }) {
  const attempts = createAttempts(platform);
  const running = new Map(); // by name, so that a double click is one purchase
  const shown = new Map(); // the key that this page was shown with, by name

  function buyerOf(token) {
    const named = typeof user === "function" ? user() : user;
    return named ?? userOf(token) ?? "";
  }

  /** Whose purchase of what; `name` is what it is stored under. */
  async function scopeOf(goodsId) {
    const buyer = buyerOf(await transport.takeToken(false));
    return { goodsId, buyer, name: `seckill:${transport.base}:${encodeURIComponent(buyer)}:${goodsId}` };
  }

  async function prepare(goodsId) {
    const { name } = await scopeOf(goodsId);
    if (!shown.has(name)) shown.set(name, attempts.open(name).key);
  }

  async function pending(goodsId) {
    const entry = attempts.read((await scopeOf(goodsId)).name);
    if (!entry?.bodies.length || entry.over) return null;
    return { since: entry.at, body: entry.bodies.at(-1), recent: Math.abs(platform.date() - entry.at) < RESUMED };
  }

  async function buy(goodsId, body, { again = false, signal, onProgress } = {}) {
    const clickedAt = platform.date();
    const scope = await scopeOf(goodsId);
    if (!running.has(scope.name)) {
      const report = (progress) => attempt(() => onProgress?.(progress));
      const lock = { platform, signal, onWait: () => report({ state: "other_tab" }) };
      const work = exclusively(`${scope.name}:lock`, lock, () => once(scope, body, { again, clickedAt, signal, report }));
      running.set(scope.name, work.finally(() => running.delete(scope.name)));
    }
    return running.get(scope.name);
  }

  async function once(scope, body, { again, clickedAt, signal, report }) {
    const key = shown.get(scope.name);
    const entry = attempts.open(scope.name, key);
    shown.delete(scope.name);
    const made = entry.bought.find((one) => one.key === key) ?? entry.bought.at(-1);
    // Another tab has bought by the key that this page shows, or this is the second half of a double click.
    if (made && (made.key === key || (!again && Math.abs(made.at - clickedAt) < DOUBLE_CLICK))) {
      return { order: await find(scope, made.orderNo, signal), replayed: true };
    }
    return settle(scope, entry, body, signal, report);
  }

  async function settle(scope, entry, body, signal, report) {
    const { name } = scope;
    const began = platform.now();
    const giveUp = (error) => {
      const failure = error instanceof SeckillError ? error : aborted(error);
      failure.unsettled = entry.doubt > 0; // the next purchase goes on with the same key in any case
      if (!failure.unsettled) attempts.over(name, entry);
      return failure;
    };
    for (let tried = 1; ; tried++) {
      // Who goes on with an earlier purchase may choose anew: if that was made, the service says so.
      entry = attempts.sending(name, entry, body);
      report({ state: "sending", attempt: tried });
      let failure;
      try {
        const answer = await post(scope, entry.key, body, signal);
        attempts.settle(name, entry, answer.body.order_no);
        return { order: answer.body, replayed: answer.replayed };
      } catch (error) {
        failure = error;
      }
      if (failure.code === "idempotency_key_reused") {
        const order = await earlier(scope, entry, body, signal).catch((error) => Promise.reject(giveUp(error)));
        attempts.settle(name, entry, order.order_no);
        return { order, replayed: true };
      }
      if (isUnknown(failure)) entry = attempts.doubt(name, entry);
      let wait;
      if (isTransient(failure)) {
        wait = waitAfter(failure, tried, platform);
      } else if (isRefusal(failure)) {
        // A request that got no answer may still be on its way, and buy after this one was refused.
        const age = Math.abs(platform.date() - entry.doubt);
        if (age >= SURELY_DONE) attempts.settle(name, entry);
        else if (age >= AT_WORK) attempts.over(name, entry);
        if (age >= AT_WORK) throw failure;
        wait = AT_WORK - age;
      } else {
        throw giveUp(failure);
      }
      if (platform.now() - began + wait > TIME) throw giveUp(failure);
      report({ state: "waiting", attempt: tried, code: failure.code, wait });
      await sleep(wait, platform, signal).catch((error) => Promise.reject(giveUp(error)));
    }
  }

  /** Another request has bought under the key: one of those that were sent before, so they are sent again. */
  async function earlier(scope, entry, body, signal) {
    const sent = JSON.stringify(body);
    for (const other of entry.bodies.filter((one) => JSON.stringify(one) !== sent).reverse()) {
      try {
        return (await insist(() => post(scope, entry.key, other, signal), signal)).body;
      } catch (error) {
        if (error.code !== "idempotency_key_reused") throw error;
      }
    }
    // What was sent is forgotten. The order is there.
    const query = { goods_id: scope.goodsId, sort: "-purchased_at", limit: 1 };
    const [order] = (await read(scope, "/orders", { query, signal })).items;
    if (!order) throw new SeckillError("idempotency_key_reused", { status: 422 });
    return order;
  }

  const find = (scope, orderNo, signal) => read(scope, `/orders/${encodeURIComponent(orderNo)}`, { signal });

  async function read(scope, path, options) {
    const send = (token) => transport.send("GET", path, { ...options, token });
    return (await insist(() => as(scope, send), options.signal)).body;
  }

  const insist = (work, signal) => transport.repeat(work, { signal, attempts: ATTEMPTS });

  async function post(scope, key, body, signal) {
    const path = `/seckill/${encodeURIComponent(scope.goodsId)}`;
    const answer = await as(scope, (token) => transport.send("POST", path, { token, key, body, signal }));
    if (typeof answer.body?.order_no !== "string") throw new SeckillError("invalid_answer", { status: answer.status });
    return answer;
  }

  /** Runs `work` with a token of the buyer whose purchase this is: another may have signed in meanwhile. */
  function as(scope, work) {
    return transport.withToken((token) => {
      if (buyerOf(token) !== scope.buyer) throw new SeckillError("user_changed");
      return work(token);
    });
  }

  return { prepare, pending, buy };
}

/** Whether the service has judged the purchase and said no. Who sends it, and how often, is no such judgement. */
function isRefusal({ status, code }) {
  return status >= 400 && status < 500 && code !== "invalid_answer" && code !== "rate_limited" && status !== 401;
}
