import assert from "node:assert/strict";
import { test } from "node:test";
import { changedFields, differences, firstChoices, isResolved, resolved } from "../../../web/console/conflict.js";

const names = ["name", "price", "goods_ids", "ends_at"];
const base = { name: "Tea", price: 100, goods_ids: [1], ends_at: null };

test("only what was changed is sent", () => {
  assert.deepEqual(changedFields(base, { ...base }), {});
  assert.deepEqual(changedFields(base, { ...base, goods_ids: [1, 2], price: 0 }), { goods_ids: [1, 2], price: 0 });
});

test("what only one side changed is taken, what both changed is for a person", () => {
  const mine = { name: "Green tea", price: 90 };
  const theirs = { ...base, price: 80, ends_at: "2026-11-23T12:00:00.000Z" };
  const rows = differences(base, mine, theirs, names);

  assert.deepEqual(rows.map((row) => [row.name, row.conflict]), [["name", false], ["price", true], ["ends_at", false]]);
  const choices = firstChoices(rows);
  assert.deepEqual(choices, { name: "mine", ends_at: "theirs" });
  assert.equal(isResolved(rows, choices), false);
  assert.deepEqual(resolved(rows, { ...choices, price: "theirs" }, theirs), { name: "Green tea" });
  assert.deepEqual(resolved(rows, { ...choices, price: "mine" }, theirs), { name: "Green tea", price: 90 });
  assert.deepEqual(resolved(rows, { ...choices, price: "mine", ends_at: "mine" }, theirs), { name: "Green tea", price: 90, ends_at: null });
});

test("two who made the same change do not differ", () => {
  const rows = differences(base, { price: 80 }, { ...base, price: 80 }, names);
  assert.equal(rows[0].conflict, false);
  assert.deepEqual(resolved(rows, firstChoices(rows), { ...base, price: 80 }), {});
});
