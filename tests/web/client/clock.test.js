// The server's time, whatever the visitor's clock says.

import assert from "node:assert/strict";
import test from "node:test";

import { createClient } from "./client.js";
import { Shop } from "./shop.js";
import { EPOCH, numbers } from "./world.js";

const HOURS = 3_600_000;

function watch(shop, options) {
  const tab = shop.tab(options);
  const client = createClient({ platform: tab.platform });
  client.watchSale(1, () => {});
  const wrong = () => Math.abs(client.clock.now() - (EPOCH + shop.time.now));
  return { tab, client, wrong };
}

test("before the first answer the time is not known", () => {
  const { clock } = createClient({ platform: new Shop().tab().platform });
  assert.deepEqual([clock.now(), clock.error()], [null, Infinity]);
});

for (const skew of [0, 3 * HOURS, -3 * HOURS]) {
  test(`at a round trip of 500 ms it is right to 50 ms, with a visitor's clock that is ${skew / HOURS} hours off`, async () => {
    for (let seed = 1; seed <= 50; seed++) {
      const shop = new Shop(seed);
      const chance = numbers(seed);
      // Now and then one way is much longer than the other: a lost packet, a first connection.
      const way = () => 225 + chance() * 50 + (chance() < 0.3 ? chance() * 2000 : 0);
      shop.delays = [way, way];
      const { client, wrong } = watch(shop, { skew });
      await shop.time.until(() => client.clock.error() < 290);
      assert.ok(wrong() <= 50, `seed ${seed}: ${wrong()} ms`);
      assert.ok(shop.time.now < 30_000);
    }
  });
}

test("no error is greater than the clock itself says", async () => {
  for (let seed = 1; seed <= 100; seed++) {
    const shop = new Shop(seed);
    const chance = numbers(seed);
    shop.delays = [() => chance() * 1000, () => chance() * 1000];
    const { client, wrong } = watch(shop);
    for (let look = 0; look < 20; look++) {
      await shop.time.pass(700);
      if (client.clock.now() !== null) assert.ok(wrong() <= client.clock.error() + 1);
    }
  }
});

test("a first answer over a slow new connection does not count once there are better ones", async () => {
  const shop = new Shop();
  let first = true;
  shop.delays = [() => (first ? ((first = false), 1500) : 250), 250];
  const { wrong } = watch(shop);
  await shop.time.pass(1800);
  assert.ok(wrong() > 500);
  await shop.time.pass(2000);
  assert.ok(wrong() <= 1);
});

test("a worse answer does not count after a better one", async () => {
  const shop = new Shop();
  const { wrong } = watch(shop);
  await shop.time.pass(1500);
  shop.delays = [2000, 50];
  await shop.time.pass(3500);
  assert.ok(wrong() <= 5, `${wrong()} ms`);
});

test("a visitor who sets their clock does not move the server's", async () => {
  const shop = new Shop();
  const { tab, wrong } = watch(shop);
  await shop.time.pass(5000);
  tab.skew = 5 * HOURS;
  assert.ok(wrong() <= 1);
  await shop.time.pass(10_000);
  assert.ok(wrong() <= 1);
});

for (const hidden of [false, true]) {
  test(`when the machine has slept, one answer sets it right${hidden ? ", with the tab hidden meanwhile" : ""}`, async () => {
    const shop = new Shop();
    const { tab, client, wrong } = watch(shop);
    await shop.time.pass(5000);
    if (hidden) tab.show(false);
    tab.asleep += 40 * 60_000; // performance.now() stood still
    shop.time.sleep(40 * 60_000);
    assert.ok(wrong() > 30 * 60_000);
    const before = shop.requests.length;
    if (hidden) tab.show(true);
    await shop.time.until(() => shop.requests.length > before && client.clock.now() && wrong() < 1000, 6000);
    assert.ok(wrong() <= 50, `${wrong()} ms`);
    assert.equal(shop.requests.length, before + 1);
    assert.equal(shop.requests.at(-1).headers["If-None-Match"], undefined); // a proxy may take the time off a 304
  });
}

test("while a countdown runs, a sleep is noticed within a second, however seldom it polls", async () => {
  const shop = new Shop();
  const serve = shop.service;
  const starts_at = new Date(EPOCH + 24 * HOURS).toISOString();
  shop.service = (request) => {
    const answer = serve(request);
    return { ...answer, body: { ...answer.body, status: "upcoming", starts_at } };
  };
  const { tab, wrong } = watch(shop);
  await shop.time.pass(10_000);
  tab.asleep += HOURS;
  shop.time.sleep(HOURS);
  await shop.time.pass(1200);
  assert.ok(wrong() <= 50, `${wrong()} ms`);
});

test("old answers make place for new ones: no quartz runs true for hours", async () => {
  const shop = new Shop();
  const { tab, wrong } = watch(shop);
  for (let minute = 0; minute < 180; minute++) {
    await shop.time.pass(60_000);
    tab.asleep += 3; // 50 millionths too slow
    assert.ok(wrong() <= 10, `${wrong()} ms after ${minute} minutes`);
  }
});
