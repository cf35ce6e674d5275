// The client of the flash-sale API, for browsers. README.md beside this file explains it; seckill.d.ts has the types.
//
//   import { createClient } from "https://seckill.example/static/client/v1/seckill.js";
//   const client = createClient({ baseUrl: "https://seckill.example", getToken: () => token });
//   const watch = client.watchSale(1, ({ status, startsIn, sale, error }) => { ... });    watch.stop()
//   const { order, replayed } = await client.buy(1, { quantity: 1 }, { onProgress });     // never twice
//
//   listGoods(query)  goods(id)  shippingMethods(query)               anyone's
//   quote(id, choices)  orders(query)  order(no)  pay(no)  cancel(no)   the buyer's
//   prepare(id)  pending(id)                                          of purchases: README.md
//   clock.now()  clock.error()                                        the server's time, in milliseconds
//
// All of them reject with SeckillError: {code, status, retryAfter, details, unsettled}.

import { createClock } from "./clock.js";
import { browser } from "./platform.js";
import { createPurchases } from "./purchase.js";
import { createTransport } from "./transport.js";
import { createWatcher } from "./watch.js";

export { SeckillError } from "./errors.js";

export function createClient({ baseUrl = "", token, getToken, user, language, fetch, storage, platform: given } = {}) {
  const own = { fetch, storage };
  for (const name in own) if (own[name] === undefined) delete own[name];
  const platform = browser({ ...own, ...given });
  const transport = createTransport({ baseUrl, token, getToken, language, platform });
  const clock = createClock(platform);
  const purchases = createPurchases(transport, platform, { user });
  const watchers = new Map();
  const changing = new Map();
  const part = encodeURIComponent;

  /** A read, repeated where that may help. */
  async function read(path, { query, signal, withToken = false } = {}) {
    const send = (token) => transport.send("GET", path, { token, query, signal });
    const answer = await transport.repeat(() => (withToken ? transport.withToken(send) : send()), { signal });
    return answer.body;
  }

  /** A change of an order, under a key of its own for all of its requests; a second call joins the first. */
  function change(path, signal) {
    if (!changing.has(path)) {
      const key = platform.id();
      const send = (token) => transport.send("POST", path, { token, key, body: {}, signal });
      const done = transport.repeat(() => transport.withToken(send), { signal, attempts: 6 });
      changing.set(path, done.then(({ body }) => body).finally(() => changing.delete(path)));
    }
    return changing.get(path);
  }

  return {
    clock: { now: clock.now, error: clock.error },

    watchSale(id, callback) {
      const own = (state) => callback(state); // the same function may watch twice
      const onIdle = () => watchers.delete(String(id));
      const watcher = watchers.get(String(id)) ?? createWatcher(id, { transport, clock, platform, onIdle });
      watchers.set(String(id), watcher);
      watcher.add(own);
      return { stop: () => watcher.remove(own), refresh: () => watcher.refresh() };
    },

    listGoods: (query, { signal } = {}) => read("/goods", { query, signal }),
    goods: (id, { signal } = {}) => read(`/goods/${part(id)}`, { signal }),
    shippingMethods: (query, { signal } = {}) => read("/shipping-methods", { query, signal }),

    async quote(id, choices = {}, { signal } = {}) {
      const send = (token) => transport.send("POST", `/seckill/${part(id)}/quote`, { token, body: choices, signal });
      return (await transport.repeat(() => transport.withToken(send), { signal, attempts: 2 })).body;
    },

    prepare: purchases.prepare,
    pending: purchases.pending,
    buy: (id, choices = {}, options = {}) => purchases.buy(id, choices, options),

    orders: (query, { signal } = {}) => read("/orders", { query, signal, withToken: true }),
    order: (no, { signal } = {}) => read(`/orders/${part(no)}`, { signal, withToken: true }),
    pay: (no, { signal } = {}) => change(`/orders/${part(no)}/pay`, signal),
    cancel: (no, { signal } = {}) => change(`/orders/${part(no)}/cancel`, signal),
  };
}
