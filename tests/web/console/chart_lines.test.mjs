import assert from "node:assert/strict";
import { test } from "node:test";
import { area, axis, highest, indexAt, line, roundUp } from "../../../web/console/chart_lines.js";

test("axes end at round numbers", () => {
  assert.equal(roundUp(0), 1);
  assert.equal(roundUp(3), 5);
  assert.equal(roundUp(0.012), 0.02);
  assert.deepEqual(axis(30, true), { max: 30, marks: [0, 10, 20, 30] });
  assert.deepEqual(axis(0, true), { max: 1, marks: [0, 1] });
  assert.deepEqual(axis(2, true), { max: 2, marks: [0, 1, 2] });
  for (const top of [1, 7, 99, 101, 4321, 1e9]) {
    const { max, marks } = axis(top, true);
    assert.ok(max >= top && marks.length <= 6 && marks.every(Number.isInteger), String(top));
  }
});

test("lines have gaps where nothing is known", () => {
  const box = { width: 100, height: 10, max: 10 };
  assert.equal(line([0, 10, 5], box), "M0 10L50 0L100 5");
  assert.equal(line([0, null, 5], box), "M0 10h0.01M100 5h0.01");
  assert.equal(line([10, 5], { ...box, step: true }), "M0 0H100V5");
  assert.equal(line([], box), "");
  assert.equal(area([0, 10], box), "M0 10L100 0V10H0Z");
  assert.equal(area([0, null], box), "");
});

test("the pointer finds the nearest value", () => {
  assert.equal(indexAt(0.5, 601), 300);
  assert.equal(indexAt(-1, 10), 0);
  assert.equal(indexAt(2, 10), 9);
  assert.equal(highest([{ values: [1, null, 7] }, { values: [] }]), 7);
});
