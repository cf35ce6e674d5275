import assert from "node:assert/strict";
import { test } from "node:test";
import { checkWindow, readField, readForm, startForm } from "../../../web/console/fields.js";
import { GOODS_FIELDS } from "../../../web/console/goods_fields.js";

const read = (field, typed) => readField(field, typed, "CNY");

test("what is wrong with a field is told by a code", () => {
  assert.equal(read({ type: "text", required: true }, "").problem, "missing");
  assert.equal(read({ type: "text" }, "   ").problem, "blank");
  assert.equal(read({ type: "text" }, "a\u0007").problem, "control_character");
  assert.equal(read({ type: "text" }, "a\nb").problem, "control_character");
  assert.equal(read({ type: "text", lines: true }, "a\nb").value, "a\nb");
  assert.equal(read({ type: "text", max: 3 }, "four").problem, "too_long");
  assert.equal(read({ type: "count", min: 1 }, "0").problem, "out_of_range");
  assert.equal(read({ type: "count" }, "1.5").problem, "wrong_type");
  assert.equal(read({ type: "count" }, "").value, null);
  assert.equal(read({ type: "money" }, "1.234").problem, "invalid_amount");
  assert.equal(read({ type: "money" }, "1.23").value, 123);
  assert.equal(read({ type: "currency", required: true }, "cny").value, "CNY");
  assert.equal(read({ type: "currency" }, "yuan").problem, "unknown_currency");
  assert.equal(read({ type: "list", pattern: /^[1-9]\d*$/, numbers: true }, "1, 2，3").value.join(), "1,2,3");
  assert.equal(read({ type: "list", pattern: /^[1-9]\d*$/ }, "1 1").problem, "repeated");
  assert.equal(read({ type: "choices" }, []).value, null);
});

test("a form that nobody touched gives back what is stored, to the millisecond", () => {
  const stored = {
    name: "Tea", description: "", image_url: "", price: 1999, list_price: null, per_user_limit: 2, order_limit: null,
    starts_at: "2026-11-23T12:00:00.123Z", ends_at: null, shippable: false, currency: "CNY",
  };
  const fields = GOODS_FIELDS.filter((field) => !field.once);
  const { values, problems } = readForm(fields, startForm(fields, stored), { stored, check: checkWindow });
  assert.deepEqual(problems, {});
  for (const field of fields) assert.deepEqual(values[field.name], stored[field.name], field.name);
});

test("amounts are in the currency that is typed beside them", () => {
  const typed = { ...startForm(GOODS_FIELDS, {}), name: "Tea", currency: "jpy", price: "1999", stock: "5" };
  const { values, problems } = readForm(GOODS_FIELDS, typed);
  assert.deepEqual(problems, {});
  assert.equal(values.price, 1999);
  assert.equal(readForm(GOODS_FIELDS, { ...typed, price: "19.99" }).problems.price, "invalid_amount");
});

test("a window is not reversed", () => {
  assert.deepEqual(checkWindow({ starts_at: "2026-11-23T12:00:00Z", ends_at: "2026-11-23T11:00:00Z" }), { ends_at: "window_reversed" });
  assert.deepEqual(checkWindow({ starts_at: null, ends_at: "2026-11-23T11:00:00Z" }), {});
});
