import assert from "node:assert/strict";
import { test } from "node:test";
import { pause, startPoll } from "../../../web/console/poll.js";

/** A page and a clock that the test moves by hand. */
function world() {
  const page = Object.assign(new EventTarget(), { hidden: false });
  const planned = new Map();
  let ids = 0;
  const timers = {
    setTimeout: (call, wait) => (planned.set(++ids, { call, wait }), ids),
    clearTimeout: (id) => planned.delete(id),
  };
  return {
    page, timers, planned,
    show: (hidden) => ((page.hidden = hidden), page.dispatchEvent(new Event("visibilitychange"))),
    async fire() {
      const [[id, { call }]] = planned;
      planned.delete(id);
      await call();
    },
    waits: () => [...planned.values()].map(({ wait }) => wait),
  };
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

test("there is one request at a time, and the next is planned after its answer", async () => {
  const { page, timers, waits, fire } = world();
  const answers = [];
  const poll = startPoll({ load: () => new Promise((resolve) => answers.push(resolve)), every: 1000, page, timers });
  assert.equal(answers.length, 1);
  assert.deepEqual(waits(), []);
  poll.now();
  assert.deepEqual(waits(), []);
  answers[0]();
  await settled();
  assert.deepEqual(waits(), [1000]);
  fire();
  assert.equal(answers.length, 2);
});

test("a hidden page asks nothing, and asks at once when it is seen", async () => {
  const { page, timers, waits, show } = world();
  let asked = 0;
  startPoll({ load: async () => (asked += 1), every: 1000, page, timers });
  await settled();
  show(true);
  assert.deepEqual(waits(), []);
  show(false);
  assert.deepEqual(waits(), [0]);
  assert.equal(asked, 1);
});

test("a failure waits as long as it is told, and is told of", async () => {
  const { page, timers, waits } = world();
  const heard = [];
  const error = Object.assign(new Error(), { retryAfter: 7 });
  startPoll({ load: () => Promise.reject(error), every: 1000, page, timers, onError: (_, wait) => heard.push(wait) });
  await settled();
  assert.deepEqual(waits(), [7000]);
  assert.deepEqual(heard, [7000]);
});

test("failures in a row wait ever longer, to a bound", () => {
  const middle = () => 0.5;
  assert.equal(pause(1000, 0), 1000);
  assert.equal(pause(1000, 1, null, middle), 2000);
  assert.equal(pause(1000, 3, null, middle), 8000);
  assert.equal(pause(1000, 50, null, middle), 30_000);
});

test("an end takes the request back and plans nothing more", async () => {
  const { page, timers, waits } = world();
  let given;
  const poll = startPoll({ load: (signal) => ((given = signal), new Promise((_, reject) => signal.addEventListener("abort", reject))), every: 1000, page, timers });
  poll.end();
  await settled();
  assert.equal(given.aborted, true);
  assert.deepEqual(waits(), []);
});
