import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyring, randomKey } from "../../../web/console/keys.js";

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
