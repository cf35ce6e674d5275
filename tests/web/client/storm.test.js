// Everything at once, by chance: lost answers, busy times, restarts, tabs that crash and are loaded again, double clicks.
// SECKILL_SEEDS is how many runs there are.

import assert from "node:assert/strict";
import test from "node:test";

import { createClient } from "./client.js";
import { Shop, token } from "./shop.js";
import { Storage, numbers, problem } from "./world.js";

const SEEDS = Number(process.env.SECKILL_SEEDS ?? 150);
const FAULTS = ["lost", "unanswered", "late", "unanswered", "lost"];
const ANSWERS = [
  problem(503, "busy", {}, { "Retry-After": "1" }),
  problem(503, "unavailable", {}, { "Retry-After": "2" }),
  problem(500, "internal_error"),
  problem(429, "rate_limited", {}, { "Retry-After": "2" }),
  { status: 504, body: "<html>" },
];

/** A buyer with a browser: tabs, clicks, crashes. Their wish is one unit, whatever they press. */
class Buyer {
  open = 0; // clicks and resumed purchases without an outcome
  outcomes = [];

  constructor(shop, number, chance, locks) {
    this.name = `buyer-${number}`;
    this.chance = chance;
    this.shop = shop;
    this.options = { storage: new Storage(), locks };
    this.tabs = [];
    const count = 1 + Math.floor(chance() * 3);
    for (let each = 0; each < count; each++) this.load(false);
    for (const tab of this.tabs) {
      const at = chance() * 400;
      const clicks = 1 + Math.floor(chance() * 3);
      for (let click = 0; click < clicks; click++) shop.time.after(200 + at + click * chance() * 300, () => this.click(tab));
    }
    if (chance() < 0.5) shop.time.after(200 + chance() * 4000, () => this.crash(this.tabs[0]));
  }

  load(again) {
    const tab = this.shop.tab(this.options);
    const client = createClient({ token: token(this.name), platform: tab.platform });
    this.tabs.push({ tab, client });
    client.prepare(1);
    if (again) client.pending(1).then((pending) => pending?.recent && this.buy({ tab, client }, pending.body));
  }

  click(page) {
    if (!page.tab.dead) this.buy(page, {});
  }

  buy({ tab, client }, body) {
    this.open++;
    tab.open = (tab.open ?? 0) + 1;
    const end = (outcome) => {
      if (tab.dead) return;
      this.open--;
      tab.open--;
      this.outcomes.push(outcome);
    };
    client.buy(1, body).then(({ order }) => end(order.order_no), (error) => end(error.code));
  }

  crash({ tab }) {
    this.open -= tab.open ?? 0;
    tab.kill();
    this.shop.time.after(500 + this.chance() * 1000, () => this.load(true));
  }
}

for (const locks of [true, false]) {
  test(`nobody buys twice, and everybody is answered, in ${SEEDS} storms ${locks ? "with Web Locks" : "with leases"}`, async () => {
    let bought = 0;
    let orders = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const shop = new Shop(seed);
      const chance = numbers(seed * 7919);
      const restart = chance() < 0.5 ? 500 + chance() * 1000 : Infinity;
      const calm = 12_000; // from then on nothing fails
      shop.delays = [() => 5 + chance() * 200, () => 5 + chance() * 200];
      shop.fault = ({ at }) => {
        const since = at - 1000;
        if (since > restart && since < restart + 3000) return "lost";
        if (since > calm || chance() > 0.5) return null;
        return chance() < 0.6 ? FAULTS[Math.floor(chance() * FAULTS.length)] : ANSWERS[Math.floor(chance() * ANSWERS.length)];
      };
      const buyers = [1, 2, 3].map((number) => new Buyer(shop, number, chance, locks));
      await shop.time.pass(150_000);
      for (const { name, open, outcomes } of buyers) {
        const of = shop.of(name);
        assert.ok(of.length <= 1, `seed ${seed}: ${name} bought ${of.length} times`);
        assert.equal(open, 0, `seed ${seed}: ${name} waits without an answer`);
        assert.deepEqual(outcomes.filter((outcome) => outcome !== of[0]?.order_no), [], `seed ${seed}: ${name}`);
        orders += of.length;
        bought += outcomes.length;
      }
    }
    assert.ok(orders > SEEDS && bought > orders, `${orders} orders and ${bought} answers: these were no storms`);
  });
}
