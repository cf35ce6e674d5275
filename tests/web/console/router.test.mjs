import assert from "node:assert/strict";
import { test } from "node:test";
import { address, match, path } from "../../../web/console/router.js";

test("addresses lead to views", () => {
  assert.deepEqual(match("/admin"), { view: "sales", params: {} });
  assert.deepEqual(match("/admin/"), { view: "sales", params: {} });
  assert.deepEqual(match("/admin/sales/new"), { view: "saleNew", params: {} });
  assert.deepEqual(match("/admin/sales/7"), { view: "sale", params: { id: "7" } });
  assert.deepEqual(match("/admin/sales/7/report"), { view: "report", params: { id: "7" } });
  assert.deepEqual(match("/admin/coupons/A%2FB"), { view: "coupon", params: { code: "A/B" } });
});

test("what leads nowhere is shown as such", () => {
  for (const wrong of ["/", "/admin/x", "/admin/sales/1/2/3", "/admin/sales//edit", "/admin/coupons/%"]) {
    assert.equal(match(wrong).view, "missing", wrong);
  }
});

test("addresses are put together from parts that people typed", () => {
  assert.equal(path("coupons", "a/b ?"), "/coupons/a%2Fb%20%3F");
  assert.equal(address("/orders", { status: "", user_id: "a&b", cursor: null, goods_id: 0 }), "/orders?user_id=a%26b&goods_id=0");
});
