// Buying once: never two purchases, and always an answer in the end.

import assert from "node:assert/strict";
import test from "node:test";

import { createClient } from "./client.js";
import { Shop, token } from "./shop.js";
import { BlockedStorage, Storage, problem } from "./world.js";

const ALICE = token("alice");

function open(shop, { user = ALICE, ...options } = {}) {
  const tab = shop.tab(options);
  return { tab, client: createClient({ token: user, ...options.client, platform: tab.platform }) };
}

const keys = (shop) => new Set(shop.purchases.map(({ headers }) => headers["Idempotency-Key"]));
const failure = (promise) => promise.then(() => assert.fail("bought"), (error) => error);

test("a purchase gives its order", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  const { order, replayed } = await shop.time.value(client.buy(1, { quantity: 2 }));
  assert.deepEqual([order.quantity, replayed, shop.stock], [2, false, 998]);
});

test("a double click is one purchase, while the first is on its way", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  const both = await shop.time.value(Promise.all([client.buy(1), client.buy(1), client.buy(1)]));
  assert.equal(new Set(both.map(({ order }) => order.order_no)).size, 1);
  assert.equal(shop.purchases.length, 1);
});

test("a double click is one purchase, when the first is answered between the clicks", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  const first = await shop.time.value(client.buy(1));
  await shop.time.pass(200);
  const second = await shop.time.value(client.buy(1));
  assert.deepEqual([second.order.order_no, second.replayed], [first.order.order_no, true]);
  assert.equal(shop.orders.size, 1);
});

test("another one is bought when the buyer says so, or comes back later", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  await shop.time.value(client.buy(1));
  await shop.time.value(client.buy(1, {}, { again: true }));
  await shop.time.pass(2500);
  await shop.time.value(client.buy(1));
  assert.deepEqual([shop.orders.size, keys(shop).size], [3, 3]);
});

for (const locks of [true, false]) {
  const how = locks ? "Web Locks" : "a lease";
  test(`two tabs that act at once buy once, by ${how}`, async () => {
    const shop = new Shop();
    const tabs = [open(shop, { locks }), open(shop, { locks }), open(shop, { locks })];
    const bought = await shop.time.value(Promise.all(tabs.map(({ client }) => client.buy(1))));
    assert.equal(new Set(bought.map(({ order }) => order.order_no)).size, 1);
    assert.equal(shop.orders.size, 1);
  });

  test(`the second tab waits for the first, and says so, by ${how}`, async () => {
    const shop = new Shop();
    const [first, second] = [open(shop, { locks }), open(shop, { locks })];
    const progresses = [];
    const one = first.client.buy(1);
    await shop.time.pass(20);
    const two = second.client.buy(1, {}, { onProgress: (progress) => progresses.push(progress) });
    await shop.time.value(Promise.all([one, two]));
    assert.deepEqual(progresses, [{ state: "other_tab" }]);
    assert.equal(shop.purchases.length, 1);
  });

  test(`a tab that is frozen with the lock is not waited for for ever, by ${how}`, async () => {
    const shop = new Shop();
    const [frozen, second] = [open(shop, { locks }), open(shop, { locks })];
    shop.fault = ({ tab }) => (tab === frozen.tab ? "lost" : null);
    const never = failure(frozen.client.buy(1));
    await shop.time.pass(20);
    const { order } = await shop.time.value(second.client.buy(1));
    const bought = shop.time.now;
    await shop.time.value(never);
    assert.ok(order.order_no && bought < 20_000, `${bought} ms`);
    assert.deepEqual([shop.orders.size, keys(shop).size], [1, 1]);
  });
}

test("a tab that shows the button since before another bought gets that order, much later too", async () => {
  const shop = new Shop();
  const [first, second] = [open(shop), open(shop)];
  await shop.time.value(first.client.prepare(1));
  await shop.time.value(second.client.prepare(1));
  const one = await shop.time.value(first.client.buy(1));
  await shop.time.pass(60_000);
  const two = await shop.time.value(second.client.buy(1));
  assert.deepEqual([two.order.order_no, two.replayed], [one.order.order_no, true]);
  await shop.time.value(second.client.buy(1, {}, { again: true }));
  assert.equal(shop.orders.size, 2);
});

for (const fault of ["lost", "unanswered", "late"]) {
  test(`a purchase whose answer is lost is sent again under its key: ${fault}`, async () => {
    const shop = new Shop();
    const { client } = open(shop);
    shop.fault = (request, count) => (count <= 3 ? fault : null);
    const { order } = await shop.time.value(client.buy(1));
    await shop.time.pass(10_000);
    assert.deepEqual([order.order_no, shop.orders.size, keys(shop).size, shop.purchases.length], ["order-1", 1, 1, 4]);
  });
}

const transient = {
  busy: problem(503, "busy", {}, { "Retry-After": "2" }),
  unavailable: problem(503, "unavailable", {}, { "Retry-After": "2" }),
  internal_error: problem(500, "internal_error"),
  rate_limited: problem(429, "rate_limited", {}, { "Retry-After": "3" }),
  "a gateway's page": { status: 502, body: "<html>" },
  "another server's page": { status: 200, body: "<html>sign in to the network</html>" },
  "another server's JSON": { status: 200, body: { ok: true } },
};
for (const [name, answer] of Object.entries(transient)) {
  test(`it waits and sends the same again after ${name}`, async () => {
    const shop = new Shop();
    const { client } = open(shop);
    shop.fault = (request, count) => (count <= 2 ? answer : null);
    const progresses = [];
    await shop.time.value(client.buy(1, { quantity: 2 }, { onProgress: (progress) => progresses.push(progress) }));
    assert.deepEqual([shop.orders.size, keys(shop).size, shop.purchases.length], [1, 1, 3]);
    assert.deepEqual(progresses.map(({ state }) => state), ["sending", "waiting", "sending", "waiting", "sending"]);
    const least = (answer.headers?.["Retry-After"] ?? 0) * 1000;
    const [, first, , second] = progresses;
    assert.ok(first.wait >= Math.max(400, least) && first.wait <= Math.max(400, least) * 1.3);
    assert.ok(second.wait >= Math.max(800, least) && second.wait <= Math.max(800, least) * 1.3);
    const [a, b] = shop.purchases;
    assert.ok(b.at - a.at >= first.wait);
  });
}

test("buyers who are told to wait do not come back in step", async () => {
  const shop = new Shop();
  shop.fault = () => transient.busy;
  const waits = new Set();
  const buyers = [...Array(20).keys()].map((number) => open(shop, { user: token(`buyer-${number}`) }).client);
  const all = buyers.map((client) => client.buy(1, {}, { onProgress: ({ wait }) => wait && waits.add(wait) }).catch(() => 0));
  await shop.time.pass(4000);
  assert.ok(waits.size > 10);
  await shop.time.value(Promise.all(all));
});

for (const [name, fault, unsettled] of [
  ["nothing was bought", transient.busy, false],
  ["it may have been bought", "unanswered", true],
]) {
  test(`it gives up in the end, keeps the key, and says that ${name}`, async () => {
    const shop = new Shop();
    const { client } = open(shop);
    shop.fault = () => fault;
    const began = shop.time.now;
    const error = await shop.time.value(failure(client.buy(1)));
    assert.equal(error.unsettled, unsettled);
    assert.ok(shop.time.now - began <= 90_000);
    assert.ok(shop.purchases.length <= 14);
    shop.fault = () => null;
    await shop.time.pass(100_000);
    await shop.time.value(client.buy(1));
    assert.deepEqual([shop.orders.size, keys(shop).size], [1, 1]);
  });
}

test("a wait that is longer than the purchase may take is reported at once", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  shop.fault = () => problem(429, "rate_limited", {}, { "Retry-After": "3600" });
  const error = await shop.time.value(failure(client.buy(1)));
  assert.deepEqual([error.code, error.retryAfter, shop.purchases.length], ["rate_limited", 3_600_000, 1]);
});

for (const [status, code] of [[409, "sold_out"], [409, "sale_not_started"], [409, "price_changed"], [422, "coupon_invalid"], [404, "goods_not_found"], [429, "hold_cooldown"]]) {
  test(`a refusal is final, and the next purchase has a new key: ${code}`, async () => {
    const shop = new Shop();
    const { client } = open(shop);
    shop.fault = (request, count) => (count === 1 ? problem(status, code, { available: 3 }, { "Retry-After": "60" }) : null);
    const error = await shop.time.value(failure(client.buy(1)));
    assert.deepEqual([error.code, error.status, error.details.available, error.unsettled], [code, status, 3, false]);
    await shop.time.value(client.buy(1));
    assert.deepEqual([shop.orders.size, keys(shop).size, shop.purchases.length], [1, 2, 2]);
  });
}

test("a refusal is not believed while an earlier request may still buy", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  // The first is received, but done later; the second is refused before that.
  shop.fault = (request, count) => (count === 1 ? "late" : null);
  shop.refusal = "sale_not_started";
  shop.time.after(2000, () => (shop.refusal = null));
  const { order, replayed } = await shop.time.value(client.buy(1));
  assert.deepEqual([order.order_no, replayed, shop.orders.size, keys(shop).size], ["order-1", true, 1, 1]);
});

test("a refusal after an unanswered request is final after some seconds, and the key is kept for longer", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  shop.fault = (request, count) => (count === 1 ? "lost" : null);
  shop.refusal = "sold_out";
  const error = await shop.time.value(failure(client.buy(1)));
  assert.deepEqual([error.code, error.unsettled], ["sold_out", false]);
  assert.equal(await shop.time.value(client.pending(1)), null); // nothing to go on with by itself
  shop.refusal = null;
  await shop.time.value(client.buy(1));
  assert.deepEqual([shop.orders.size, keys(shop).size], [1, 1]);
});

test("after a reload in mid-purchase the page goes on with it", async () => {
  const shop = new Shop();
  const before = open(shop);
  shop.fault = () => "unanswered";
  failure(before.client.buy(1, { quantity: 3 }));
  await shop.time.pass(300);
  before.tab.kill();
  shop.fault = () => null;
  const { client } = open(shop);
  const pending = await shop.time.value(client.pending(1));
  assert.deepEqual([pending.body, pending.recent], [{ quantity: 3 }, true]);
  const { order, replayed } = await shop.time.value(client.buy(1, pending.body));
  assert.deepEqual([order.order_no, replayed, shop.orders.size], ["order-1", true, 1]);
  assert.equal(await shop.time.value(client.pending(1)), null);
});

test("a page that is loaded again much later does not buy by itself", async () => {
  const shop = new Shop();
  const before = open(shop);
  shop.fault = () => "lost";
  failure(before.client.buy(1));
  await shop.time.pass(300);
  before.tab.kill();
  await shop.time.pass(150_000);
  assert.equal((await shop.time.value(open(shop).client.pending(1))).recent, false);
});

for (const bought of [true, false]) {
  test(`who chooses anew after a crash gets ${bought ? "the order that was placed" : "what they chose last"}`, async () => {
    const shop = new Shop();
    const before = open(shop);
    shop.fault = () => (bought ? "unanswered" : "lost");
    failure(before.client.buy(1, { quantity: 1 }));
    await shop.time.pass(300);
    before.tab.kill();
    shop.fault = () => null;
    const { order } = await shop.time.value(open(shop).client.buy(1, { quantity: 2 }));
    assert.deepEqual([order.quantity, shop.orders.size, keys(shop).size], [bought ? 1 : 2, 1, 1]);
    assert.equal(shop.requests.length, shop.purchases.length); // it need not look for the order
  });
}

test("an order is found though what was sent for it is forgotten", async () => {
  const shop = new Shop();
  const before = open(shop);
  shop.fault = () => "unanswered";
  failure(before.client.buy(1, { quantity: 1 }));
  await shop.time.pass(100);
  before.tab.kill();
  shop.fault = () => null;
  for (const [name, text] of shop.storage.items) shop.storage.setItem(name, text.replace('"quantity":1', '"quantity":9'));
  const { order } = await shop.time.value(open(shop).client.buy(1, { quantity: 2 }));
  assert.deepEqual([order.order_no, shop.orders.size], ["order-1", 1]);
});

test("a token that has run out is renewed, under the same key", async () => {
  const shop = new Shop();
  const [old, renewed] = [token("alice", { exp: 1 }), token("alice", { exp: 2 })];
  shop.expired.add(old);
  const renewals = [];
  const getToken = ({ renew }) => (renewals.push(renew), renew ? renewed : old);
  const { client } = open(shop, { client: { getToken } });
  await shop.time.value(client.buy(1));
  assert.ok(renewals.includes(true));
  assert.deepEqual([shop.orders.size, keys(shop).size], [1, 1]);
});

test("without a token that is taken nothing is bought, and the key is kept", async () => {
  const shop = new Shop();
  shop.expired.add(ALICE);
  const { client } = open(shop);
  const error = await shop.time.value(failure(client.buy(1)));
  assert.deepEqual([error.code, error.status], ["unauthenticated", 401]);
  const same = open(shop, { client: { getToken: () => ALICE } });
  const before = shop.requests.length;
  await shop.time.value(failure(same.client.buy(1)));
  assert.equal(shop.requests.length, before + 1); // the same token need not be tried again
  shop.expired.clear();
  await shop.time.value(client.buy(1));
  assert.deepEqual([shop.orders.size, keys(shop).size], [1, 1]);
  const { client: nobody } = open(shop, { user: "" });
  assert.equal((await shop.time.value(failure(nobody.buy(1)))).code, "unauthenticated");
});

test("another user in the same browser has a purchase of their own", async () => {
  const shop = new Shop();
  const alice = open(shop);
  shop.fault = () => "unanswered";
  failure(alice.client.buy(1));
  await shop.time.pass(100);
  alice.tab.kill();
  shop.fault = () => null;
  const bob = open(shop, { user: token("bob:1") }).client;
  assert.equal(await shop.time.value(bob.pending(1)), null);
  await shop.time.value(bob.buy(1));
  const { order } = await shop.time.value(open(shop).client.buy(1));
  assert.deepEqual([order.user_id, shop.of("alice").length, shop.of("bob:1").length, keys(shop).size], ["alice", 1, 1, 2]);
});

test("a purchase is not sent on in the name of another user", async () => {
  const shop = new Shop();
  let now = ALICE;
  const { client } = open(shop, { client: { getToken: () => now } });
  shop.fault = () => "lost";
  const buying = failure(client.buy(1));
  await shop.time.pass(300);
  now = token("bob");
  shop.fault = () => null;
  const error = await shop.time.value(buying);
  assert.deepEqual([error.code, error.unsettled, shop.orders.size], ["user_changed", true, 0]);
});

test("tokens that name nobody are told apart by `user`", async () => {
  const shop = new Shop();
  shop.service = ({ headers, body }) => shop.buy(headers.Authorization, "/", headers["Idempotency-Key"], body);
  for (const user of ["alice", "bob"]) {
    const { client } = open(shop, { user: `opaque-${user}`, client: { user } });
    await shop.time.value(client.buy(1));
  }
  assert.deepEqual([shop.orders.size, keys(shop).size], [2, 2]);
});

for (const locks of [true, false]) {
  test(`with storage blocked the tab still buys once, ${locks ? "with" : "without"} locks`, async () => {
    const shop = new Shop();
    const { client } = open(shop, { storage: new BlockedStorage(), locks });
    shop.fault = (request, count) => (count <= 2 ? "unanswered" : null);
    await shop.time.value(Promise.all([client.buy(1), client.buy(1)]));
    await shop.time.value(client.buy(1));
    assert.deepEqual([shop.orders.size, keys(shop).size], [1, 1]);
  });
}

test("where storage is full, what the tab remembers counts for more than what was stored", async () => {
  const shop = new Shop();
  const storage = new Storage();
  const { client } = open(shop, { storage });
  await shop.time.value(client.buy(1));
  storage.setItem = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  const bought = [await shop.time.value(client.buy(1, {}, { again: true })), await shop.time.value(client.buy(1, {}, { again: true }))];
  assert.deepEqual([bought.map((one) => one.replayed), shop.orders.size, keys(shop).size], [[false, false], 3, 3]);
});

test("a page that may not use locks buys without", async () => {
  const shop = new Shop();
  const { tab, client } = open(shop);
  tab.platform.locks.request = () => Promise.reject(new DOMException("not here", "SecurityError"));
  await shop.time.value(client.buy(1));
  assert.equal(shop.orders.size, 1);
});

test("who gives up is told whether it may have been bought", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  shop.fault = () => "unanswered";
  const giving = new AbortController();
  const buying = failure(client.buy(1, {}, { signal: giving.signal }));
  await shop.time.pass(300);
  giving.abort();
  const error = await shop.time.value(buying);
  assert.deepEqual([error.code, error.unsettled], ["aborted", true]);
  shop.fault = () => null;
  await shop.time.value(client.buy(1));
  assert.equal(shop.orders.size, 1);
});

test("an address is forgotten when the purchase is settled", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  await shop.time.value(client.buy(1, { address: { line1: "1 Nanjing Road" } }));
  assert.ok(![...shop.storage.items.values()].some((text) => text.includes("Nanjing")));
});

test("what an onProgress throws does not stop the purchase", async () => {
  const shop = new Shop();
  const { client } = open(shop);
  const onProgress = () => {
    throw new Error("the page's own");
  };
  await shop.time.value(client.buy(1, {}, { onProgress }));
  assert.equal(shop.orders.size, 1);
});
