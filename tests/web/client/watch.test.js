// Watching a sale: what pages are given, and when they send requests.

import assert from "node:assert/strict";
import test from "node:test";

import { createClient } from "./client.js";
import { EPOCH, World, problem } from "./world.js";

/** A service with one sale, that answers 304 to whoever has what is there. */
class Sale extends World {
  sale = { status: "on_sale", stock: 10, sold: 0, starts_at: null, ends_at: null };

  service = ({ headers }) => {
    const etag = JSON.stringify(JSON.stringify(this.sale));
    const server_time = new Date(EPOCH + this.time.now).toISOString();
    if (headers["If-None-Match"] === etag) return { status: 304, headers: { ETag: etag, "Server-Time": server_time } };
    return { status: 200, headers: { ETag: etag }, body: { ...this.sale, server_time } };
  };

  /** Puts the start or end so many milliseconds ahead. */
  at(wait) {
    return new Date(EPOCH + this.time.now + wait).toISOString();
  }

  sinceLast() {
    const times = this.requests.map(({ at }) => at);
    return times.slice(1).map((at, index) => at - times[index]);
  }
}

function watch(shop, options) {
  const tab = shop.tab(options);
  const client = createClient({ platform: tab.platform });
  const seen = [];
  const watching = client.watchSale(1, (view) => seen.push({ ...view, at: shop.time.now }));
  return { tab, client, seen, watching };
}

test("it reports what is there, and each change", async () => {
  const shop = new Sale();
  const { seen } = watch(shop);
  await shop.time.pass(500);
  assert.deepEqual([seen.length, seen[0].status, seen[0].sale.stock, seen[0].error], [1, "on_sale", 10, null]);
  shop.sale = { ...shop.sale, status: "sold_out", stock: 0 };
  await shop.time.pass(6000);
  assert.deepEqual([seen.at(-1).status, seen.at(-1).sale.stock], ["sold_out", 0]);
});

test("it asks with the ETag, once it has one", async () => {
  const shop = new Sale();
  watch(shop);
  await shop.time.pass(30_000);
  const tags = shop.requests.map(({ headers }) => headers["If-None-Match"] !== undefined);
  assert.equal(tags[0], false);
  assert.ok(tags.length >= 4 && tags.slice(1).every(Boolean));
});

test("it asks one request at a time, however slow the answers", async () => {
  const shop = new Sale();
  shop.delays = [3000, 3000];
  let open = 0;
  const serve = shop.service;
  const fetch = shop.fetch.bind(shop);
  shop.fetch = (...args) => {
    assert.equal(++open, 1);
    return fetch(...args).finally(() => open--);
  };
  shop.service = (request) => serve(request);
  const { tab, watching } = watch(shop);
  for (let second = 0; second < 60; second++) {
    await shop.time.pass(1000);
    watching.refresh();
    tab.fire("online");
  }
  assert.ok(shop.requests.length > 5);
});

const MINUTE = 60_000;
for (const [name, status, startsIn, least, most] of [
  ["a sale that runs", "on_sale", null, 4000, 4000],
  ["one that is sold out", "sold_out", null, 4000, 4000],
  ["one that is paused", "paused", null, 4000, 4000],
  ["one that has ended", "ended", null, MINUTE, MINUTE],
  ["one that starts in a day", "upcoming", 1440 * MINUTE, 5 * MINUTE, 5 * MINUTE],
  ["one that starts in half an hour", "upcoming", 30 * MINUTE, 2 * MINUTE, 2 * MINUTE],
  ["one that starts in nine minutes", "upcoming", 9 * MINUTE, MINUTE, MINUTE],
  ["one that starts in two minutes", "upcoming", 2 * MINUTE - 1, 10_000, 10_000],
  ["one that is about to start", "upcoming", 29_000, 5000, 5000],
]) {
  test(`it asks about ${name} as often as that needs, give or take 30 %`, async () => {
    const gaps = [];
    for (let seed = 1; seed <= 40; seed++) {
      const shop = new Sale(seed);
      shop.delays = [1, 1];
      shop.sale.status = status;
      if (startsIn) shop.sale.starts_at = shop.at(startsIn);
      watch(shop);
      await shop.time.until(() => shop.requests.length === 5, 20 * MINUTE);
      gaps.push(shop.sinceLast()[3]);
    }
    assert.ok(Math.min(...gaps) >= least * 0.7 && Math.max(...gaps) <= most * 1.3 + 10, `${Math.min(...gaps)}–${Math.max(...gaps)}`);
    // The jitter is there: nobody keeps step with the others.
    assert.ok(Math.max(...gaps) - Math.min(...gaps) > least * 0.4);
  });
}

test("a page that nobody touches asks ever more seldom, and at once when it is touched", async () => {
  const shop = new Sale();
  shop.delays = [1, 1];
  const { tab } = watch(shop);
  const gapAfter = async (wait) => {
    await shop.time.pass(wait);
    const from = shop.requests.length;
    await shop.time.until(() => shop.requests.length === from + 2);
    return shop.sinceLast().at(-1);
  };
  const [soon, later, late] = [await gapAfter(8000), await gapAfter(70_000), await gapAfter(280_000)];
  assert.ok(soon <= 5300 && later >= 10_500 && later <= 19_600 && late >= 84_000 && late <= 156_100, `${soon} ${later} ${late}`);
  await shop.time.pass(5000);
  const before = shop.requests.length;
  for (const name of ["pointermove", "pointerdown", "keydown"]) tab.fire(name);
  await shop.time.pass(10);
  assert.equal(shop.requests.length, before + 1);
  assert.ok((await gapAfter(100)) <= 5300);
});

test("a page that nobody touches asks often again when something turns", async () => {
  const shop = new Sale();
  shop.sale = { ...shop.sale, status: "upcoming", starts_at: shop.at(400_000) };
  watch(shop);
  await shop.time.pass(402_000);
  const before = shop.requests.length;
  await shop.time.pass(20_000);
  assert.ok(shop.requests.length - before >= 3);
});

test("a touch does not ask a service that is in trouble", async () => {
  const shop = new Sale();
  const { tab } = watch(shop);
  await shop.time.pass(5000);
  shop.fault = () => problem(503, "busy", {}, { "Retry-After": "60" });
  await shop.time.pass(10_000);
  const before = shop.requests.length;
  tab.fire("pointerdown");
  await shop.time.pass(20_000);
  assert.equal(shop.requests.length, before);
});

test("at the start the status turns by the clock, to the millisecond, without an answer", async () => {
  const shop = new Sale();
  shop.sale = { ...shop.sale, status: "upcoming", starts_at: shop.at(30_000) };
  const start = shop.time.now + 30_000;
  const { seen } = watch(shop, { skew: 3 * 3_600_000 });
  await shop.time.pass(10_000);
  shop.fault = () => "lost";
  await shop.time.pass(25_000);
  const turned = seen.find(({ status }) => status === "on_sale");
  assert.ok(Math.abs(turned.at - start) <= 5, `${turned.at - start} ms`);
  assert.equal(turned.startsIn, 0);
});

test("of a paused sale that has not begun the start comes next, and it passes by the clock", async () => {
  const shop = new Sale();
  shop.sale = { ...shop.sale, status: "paused", starts_at: shop.at(10_000) };
  const { seen } = watch(shop);
  await shop.time.pass(1000);
  shop.fault = () => "lost";
  await shop.time.pass(8000);
  assert.deepEqual([seen.at(-1).status, seen.at(-1).ahead], ["paused", "start"]);
  const shown = new Set(seen.map(({ startsIn }) => Math.ceil(startsIn / 1000)));
  assert.ok(shown.size >= 8, "it counts down");
  await shop.time.pass(5000);
  assert.deepEqual([seen.at(-1).status, seen.at(-1).ahead], ["paused", null]);
});

for (const [status, times, ahead] of [
  ["on_sale", {}, null],
  ["on_sale", { ends_at: 5000 }, "end"],
  ["paused", { starts_at: -5000 }, null],
  ["upcoming", { starts_at: 5000, ends_at: 9000 }, "start"],
  ["ended", { starts_at: 5000, ends_at: 9000 }, null],
]) {
  test(`what comes next of a sale that is ${status} with ${JSON.stringify(times)}`, async () => {
    const shop = new Sale();
    const at = Object.entries(times).map(([name, wait]) => [name, shop.at(wait)]);
    shop.sale = { ...shop.sale, status, ...Object.fromEntries(at) };
    const { seen } = watch(shop);
    await shop.time.pass(1000);
    assert.equal(seen.at(-1).ahead, ahead);
  });
}

test("pages do not all ask at the moment of the start", async () => {
  const polls = [];
  for (let seed = 1; seed <= 30; seed++) {
    const shop = new Sale(seed);
    shop.sale = { ...shop.sale, status: "upcoming", starts_at: shop.at(30_000) };
    watch(shop);
    await shop.time.pass(30_001);
    const before = shop.requests.length;
    await shop.time.until(() => shop.requests.length > before);
    polls.push(shop.requests.at(-1).at - 31_000);
  }
  assert.ok(Math.max(...polls) <= 1400);
  assert.ok(Math.max(...polls) - Math.min(...polls) > 400);
});

for (const [stock, status] of [[3, "on_sale"], [0, "sold_out"]]) {
  test(`a sale that starts with ${stock} units is ${status}`, async () => {
    const shop = new Sale();
    shop.sale = { ...shop.sale, status: "upcoming", stock, starts_at: shop.at(10_000) };
    const { seen } = watch(shop);
    await shop.time.pass(10_100);
    assert.equal(seen.at(-1).status, status);
  });
}

test("at the end it turns likewise", async () => {
  const shop = new Sale();
  shop.sale.ends_at = shop.at(20_000);
  const { seen } = watch(shop);
  await shop.time.pass(10_000);
  shop.fault = () => "lost";
  await shop.time.pass(10_100);
  assert.deepEqual([seen.at(-1).status, seen.at(-1).endsIn], ["ended", 0]);
});

test("a countdown is reported at each full second", async () => {
  const shop = new Sale();
  shop.sale = { ...shop.sale, status: "upcoming", starts_at: shop.at(20_000) };
  const { seen } = watch(shop);
  await shop.time.pass(12_000);
  const shown = new Set(seen.map(({ startsIn }) => Math.ceil(startsIn / 1000)));
  for (let left = 19; left >= 9; left--) assert.ok(shown.has(left), `${left}`);
});

test("a hidden tab asks nothing and counts nothing; shown again it asks at once", async () => {
  const shop = new Sale();
  shop.sale = { ...shop.sale, status: "upcoming", starts_at: shop.at(3_600_000) };
  const { tab, seen } = watch(shop);
  await shop.time.pass(5000);
  tab.show(false);
  const [requests, updates] = [shop.requests.length, seen.length];
  await shop.time.pass(600_000);
  assert.deepEqual([shop.requests.length, seen.length], [requests, updates]);
  tab.show(true);
  await shop.time.pass(200);
  assert.equal(shop.requests.length, requests + 1);
  assert.ok(seen.length > updates);
});

test("a tab that is opened in the background asks when it is first shown", async () => {
  const shop = new Sale();
  const tab = shop.tab();
  tab.visibilityState = "hidden";
  createClient({ platform: tab.platform }).watchSale(1, () => {});
  await shop.time.pass(60_000);
  assert.equal(shop.requests.length, 0);
  tab.show(true);
  await shop.time.pass(200);
  assert.equal(shop.requests.length, 1);
});

test("after errors it polls ever more seldom, reports them, and comes back", async () => {
  const shop = new Sale();
  const { tab, seen } = watch(shop);
  await shop.time.pass(10_000);
  shop.fault = () => "lost";
  const before = shop.requests.length;
  await shop.time.pass(300_000);
  const failed = shop.sinceLast().slice(before);
  assert.ok(failed.at(-1) >= 40_000 && failed.length < 14, String(failed));
  assert.deepEqual([seen.at(-1).error.code, seen.at(-1).sale.stock], ["network_error", 10]);
  shop.fault = () => null;
  tab.fire("online");
  await shop.time.pass(200);
  assert.equal(seen.at(-1).error, null);
});

test("it heeds Retry-After", async () => {
  const shop = new Sale();
  shop.fault = (request, count) => (count === 1 ? problem(429, "rate_limited", {}, { "Retry-After": "40" }) : null);
  watch(shop);
  await shop.time.until(() => shop.requests.length === 2);
  const [wait] = shop.sinceLast();
  assert.ok(wait >= 40_000 && wait <= 60_000, `${wait}`);
});

/** Has the service ask open pages to wait for so many seconds. */
function setPollAfter(shop, wait) {
  const serve = shop.service;
  shop.service = (request) => {
    const answer = serve(request);
    if (request.headers["If-None-Match"]) answer.headers["Poll-After"] = String(wait);
    return answer;
  };
}

test("pages that are opened together have their turns before they begin to ask again and again", async () => {
  const shop = new Sale();
  shop.sale = { ...shop.sale, status: "upcoming", starts_at: shop.at(100_000) }; // by itself a page asks every 10 s
  setPollAfter(shop, 45);
  watch(shop);
  await shop.time.until(() => shop.requests.length === 3);
  await shop.time.pass(30_000);
  assert.equal(shop.requests.length, 3);
});

/** A service that asks pages to wait, and a page whose clock is set. */
async function busyShop(wait, seed = 1) {
  const shop = new Sale(seed);
  shop.delays = [1, 1];
  setPollAfter(shop, wait);
  const watched = watch(shop);
  await shop.time.until(() => shop.requests.length === 4);
  return { shop, ...watched };
}

test("where many pages are open it waits as long as Poll-After says, give or take more", async () => {
  const { shop } = await busyShop(30);
  await shop.time.until(() => shop.requests.length === 10); // after five minutes it asks more seldom by itself
  const gaps = shop.sinceLast().slice(3);
  assert.ok(shop.requests.slice(4).every(({ headers }) => headers["If-None-Match"]));
  assert.ok(Math.min(...gaps) >= 30_000 && Math.max(...gaps) <= 39_010, String(gaps));
});

test("a page that has to ask for the time learns nothing of the others, and keeps to what it knows", async () => {
  const { shop } = await busyShop(30);
  const serve = shop.service;
  shop.service = (request) => {
    const answer = serve(request);
    delete answer.headers["Server-Time"]; // as behind a proxy that lets no new header through
    return answer;
  };
  await shop.time.until(() => shop.requests.length === 10);
  const gaps = shop.sinceLast().slice(3);
  assert.ok(shop.requests.slice(4).some(({ headers }) => !headers["If-None-Match"]));
  assert.ok(Math.min(...gaps) >= 30_000 && Math.max(...gaps) <= 39_010, String(gaps));
});

/** A page with a countdown of a day, whose machine then sleeps for 40 minutes; `during` is run just before. */
async function slept(during = () => {}) {
  const shop = new Sale();
  shop.sale = { ...shop.sale, status: "upcoming", starts_at: shop.at(24 * 60 * MINUTE) };
  const watched = watch(shop);
  await shop.time.pass(10_000);
  await during(shop, watched.tab);
  watched.tab.asleep += 40 * MINUTE; // performance.now() stood still
  shop.time.sleep(40 * MINUTE);
  return { shop, ...watched };
}

test("an answer that was on its way while the machine slept does not set the clock", async () => {
  let before;
  const { shop, client } = await slept(async (shop, tab) => {
    shop.delays = [10, 300];
    tab.show(false);
    tab.show(true);
    await shop.time.pass(100); // the service has answered, and the answer is not there yet
    before = shop.requests.length;
  });
  await shop.time.until(() => shop.requests.length > before);
  await shop.time.pass(1000);
  assert.ok(Math.abs(client.clock.now() - EPOCH - shop.time.now) <= 160);
  assert.equal(shop.requests.length, before + 1);
  assert.equal(shop.requests.at(-1).headers["If-None-Match"], undefined);
});

test("after a sleep a service that is in trouble is not asked each second", async () => {
  const { shop } = await slept((shop) => (shop.fault = () => problem(503, "busy", {}, { "Retry-After": "60" })));
  const before = shop.requests.length;
  await shop.time.pass(MINUTE);
  assert.equal(shop.requests.length, before + 1);
});

test("a time that cannot be read is none", async () => {
  const shop = new Sale();
  const serve = shop.service;
  shop.service = (request) => {
    const answer = serve(request);
    if (answer.status === 304) answer.headers["Server-Time"] = "soon";
    return answer;
  };
  const { client } = watch(shop);
  await shop.time.pass(30_000);
  assert.ok(client.clock.error() < 1000);
  assert.ok(shop.requests.length <= 13, `${shop.requests.length}`);
});

test("the time of an answer's headers goes before the one in its body, which a cache may have kept", async () => {
  const shop = new Sale();
  const serve = shop.service;
  shop.service = () => {
    const { status, headers, body } = serve({ headers: {} });
    const server_time = new Date(EPOCH - MINUTE).toISOString();
    return { status, headers: { ...headers, "Server-Time": shop.at(0) }, body: { ...body, server_time } };
  };
  const { client } = watch(shop);
  await shop.time.pass(10_000);
  assert.ok(Math.abs(client.clock.now() - EPOCH - shop.time.now) <= 250);
});

test("an answer of 304 sets the clock right", async () => {
  const shop = new Sale();
  shop.delays = [600, 0];
  const { client } = watch(shop);
  await shop.time.until(() => shop.requests.length === 4);
  const before = client.clock.error();
  shop.delays = [20, 20];
  await shop.time.until(() => shop.requests.length === 6);
  assert.ok(shop.requests.slice(3).every(({ headers }) => headers["If-None-Match"]));
  assert.ok(before >= 300 && client.clock.error() <= 25, `${before} ${client.clock.error()}`);
  assert.ok(Math.abs(client.clock.now() - EPOCH - shop.time.now) <= 25);
});

test("Poll-After makes no page ask more often, and none wait longer than a minute", async () => {
  const soon = await busyShop(1);
  await soon.shop.time.until(() => soon.shop.requests.length === 9);
  assert.ok(soon.shop.sinceLast().slice(3).every((gap) => gap >= 2800 && gap <= 5210));
  const late = await busyShop(3600);
  await late.shop.time.until(() => late.shop.requests.length === 7);
  assert.ok(late.shop.sinceLast().slice(3).every((gap) => gap >= 60_000 && gap <= 78_010));
});

test("where it would ask about as often by itself it asks no sooner than Poll-After says", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { shop } = await busyShop(4, seed);
    await shop.time.until(() => shop.requests.length === 7);
    assert.ok(shop.sinceLast().slice(3).every((gap) => gap >= 4000 && gap <= 5210), String(shop.sinceLast()));
  }
});

test("a page that was left and is touched asks as soon as Poll-After lets it", async () => {
  const { shop, tab } = await busyShop(30);
  await shop.time.pass(400_000);
  const from = shop.requests.length;
  await shop.time.until(() => shop.requests.length === from + 1);
  await shop.time.pass(10_000);
  for (let touch = 0; touch < 5; touch++) tab.fire("pointermove");
  await shop.time.until(() => shop.requests.length === from + 2);
  const gap = shop.sinceLast().at(-1);
  assert.ok(gap >= 30_000 && gap <= 36_010, `${gap}`);
});

test("a touch just after the start does not put off what is asked then", async () => {
  const { shop, tab } = await busyShop(60);
  shop.sale = { ...shop.sale, status: "upcoming", starts_at: shop.at(90_000) };
  await shop.time.pass(90_100); // it has asked again meanwhile, and knows of the start
  const before = shop.requests.length;
  tab.fire("pointermove");
  await shop.time.pass(1400);
  assert.equal(shop.requests.length, before + 1);
});

test("a touch does not ask ahead of Poll-After, but a tab that is shown again does", async () => {
  const { shop, tab } = await busyShop(30);
  await shop.time.pass(20_000);
  tab.fire("pointermove");
  await shop.time.pass(500);
  assert.equal(shop.requests.length, 4);
  tab.show(false);
  tab.show(true);
  await shop.time.pass(10);
  assert.equal(shop.requests.length, 5);
});

test("watches of one item share their requests, and the last one to stop ends them", async () => {
  const shop = new Sale();
  const { tab, client, seen, watching } = watch(shop);
  await shop.time.pass(100);
  const others = [];
  const other = client.watchSale("1", ({ status }) => others.push(status));
  assert.deepEqual(others, ["on_sale"]); // at once
  await shop.time.pass(10_000);
  assert.ok(shop.requests.length <= 7);
  watching.stop();
  const updates = seen.length;
  const requests = shop.requests.length;
  await shop.time.pass(10_000);
  assert.equal(seen.length, updates);
  assert.ok(shop.requests.length > requests);
  other.stop();
  other.stop();
  const last = shop.requests.length;
  await shop.time.pass(60_000);
  assert.equal(shop.requests.length, last);
  assert.deepEqual(["visibilitychange", "pageshow", "online", "pointermove", "pointerdown", "keydown"].map((name) => tab.listeners(name)), [0, 0, 0, 0, 0, 0]);
});

test("a callback that throws stops neither the watch nor the others", async () => {
  const shop = new Sale();
  const { client, seen } = watch(shop);
  client.watchSale(1, () => {
    throw new Error("the page's own");
  });
  await shop.time.pass(10_000);
  assert.ok(seen.length > 2 && shop.requests.length >= 4);
});

test("a sale that is not there is reported as that", async () => {
  const shop = new Sale();
  shop.fault = () => problem(404, "goods_not_found");
  const { seen } = watch(shop);
  await shop.time.pass(120_000);
  assert.deepEqual([seen[0].error.code, seen[0].sale, seen[0].status], ["goods_not_found", null, null]);
  assert.ok(shop.requests.length <= 4);
});
