import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyring, randomKey, storedKeys } from "../../../web/console/keys.js";

test("the same request keeps its key until it is meant anew", () => {
  const ring = createKeyring();
  const first = ring.keyFor({ delta: 10 });
  assert.equal(ring.keyFor({ delta: 10 }), first);
  ring.renew();
  assert.notEqual(ring.keyFor({ delta: 10 }), first);
});

test("another request has another key, made ahead of it", () => {
  let made = 0;
  const ring = createKeyring(() => `key-${++made}`);
  assert.equal(made, 1);
  assert.equal(ring.keyFor({ delta: 1 }), "key-1");
  assert.equal(ring.keyFor({ delta: 2 }), "key-2");
  assert.equal(ring.keyFor({ delta: 1 }), "key-3");
});

test("a request whose outcome is unknown keeps its key, whatever is typed meanwhile", () => {
  const ring = createKeyring();
  const first = ring.keyFor({ delta: 10 });
  ring.renew(); // typed while it was under way
  ring.doubt({ delta: 10 }, first);
  assert.notEqual(ring.keyFor({ delta: 5 }), first);
  ring.renew();
  assert.equal(ring.keyFor({ delta: 10 }), first);
  ring.settle({ delta: 10 });
  assert.equal(ring.keyFor({ delta: 10 }), first);
  ring.renew();
  assert.notEqual(ring.keyFor({ delta: 10 }), first);
});

test("keys are what the API takes, and never the same", () => {
  const keys = new Set(Array.from({ length: 1000 }, () => randomKey()));
  assert.equal(keys.size, 1000);
  for (const key of keys) assert.match(key, /^[!-~]{1,255}$/);
});

function memory() {
  const kept = new Map();
  return { getItem: (name) => kept.get(name) ?? null, setItem: (name, text) => kept.set(name, text), kept };
}

test("an unsettled key outlives a reload, for its control and its request alone", () => {
  const storage = memory();
  const ring = (name) => createKeyring(randomKey, storedKeys(name, { storage }));
  const before = ring("restock 1");
  const key = before.keyFor({ delta: 10 });
  before.doubt({ delta: 10 }, key);
  const after = ring("restock 1");
  assert.equal(after.keyFor({ delta: 10 }), key);
  assert.notEqual(after.keyFor({ delta: 9 }), key);
  assert.notEqual(ring("restock 2").keyFor({ delta: 10 }), key);
  after.settle({ delta: 10 });
  assert.notEqual(ring("restock 1").keyFor({ delta: 10 }), key);
});

test("after two minutes the same is meant anew", () => {
  const storage = memory();
  let time = 0;
  const ring = () => createKeyring(randomKey, storedKeys("restock 1", { storage, now: () => time }));
  const first = ring();
  const key = first.keyFor({ delta: 10 });
  first.doubt({ delta: 10 }, key);
  time = 2 * 60_000 - 1;
  assert.equal(ring().keyFor({ delta: 10 }), key);
  time += 1;
  assert.notEqual(ring().keyFor({ delta: 10 }), key);
});

test("a storage that is full, forbidden or torn costs no press", () => {
  const refuses = {
    getItem: () => "{torn",
    setItem() {
      throw new Error("full");
    },
  };
  const ring = createKeyring(randomKey, storedKeys("restock 1", { storage: refuses }));
  const key = ring.keyFor({ delta: 10 });
  ring.doubt({ delta: 10 }, key);
  ring.renew();
  assert.equal(ring.keyFor({ delta: 10 }), key);
});

test("few keys are stored at once", () => {
  const storage = memory();
  const keys = storedKeys("restock 1", { storage });
  for (let number = 0; number < 50; number += 1) keys.set(`${number}`, "key");
  assert.equal(JSON.parse(storage.kept.get("console.keys")).length, 20);
});
