import assert from "node:assert/strict";
import { test } from "node:test";
import { decimal, duration, fromLocalInput, minorUnits, money, toLocalInput, zone } from "../../../web/console/format.js";

test("minor units become decimals and back without a float", () => {
  for (const [minor, currency, text] of [
    [1999, "CNY", "19.99"], [5, "CNY", "0.05"], [0, "CNY", "0.00"], [1999, "JPY", "1999"], [1999, "BHD", "1.999"],
    [1000000000000, "CNY", "10000000000.00"], [8070450532247929, "CNY", "80704505322479.29"],
  ]) {
    assert.equal(decimal(minor, currency), text);
    assert.equal(minorUnits(text, currency), minor);
  }
  assert.equal(decimal(-1999, "CNY"), "-19.99");
});

test("amounts as people type them", () => {
  assert.equal(minorUnits(" 19.9 ", "CNY"), 1990);
  assert.equal(minorUnits("19", "CNY"), 1900);
  assert.equal(minorUnits("19.", "CNY"), 1900);
  for (const wrong of ["", "19.999", "1,000", "-1", "1e3", "0x10", "١", "19.9.9", "9".repeat(16)]) {
    assert.equal(minorUnits(wrong, "CNY"), null, wrong);
  }
  assert.equal(minorUnits("19.9", "JPY"), null);
});

test("amounts are shown with their currency, exactly", () => {
  assert.match(money(8070450532247929, "CNY", "en"), /80,704,505,322,479\.29/);
  assert.match(money(1999, "JPY", "en"), /1,999$/);
  assert.equal(money(null, "CNY", "en"), "–");
});

test("times go through the fields of a form in the browser's zone", () => {
  assert.equal(toLocalInput("2026-11-23T12:00:00.000Z"), "2026-11-23T20:00:00");
  assert.equal(fromLocalInput("2026-11-23T20:00"), "2026-11-23T12:00:00.000Z");
  assert.equal(toLocalInput(null), "");
  assert.equal(fromLocalInput(""), null);
  assert.equal(fromLocalInput("2026-13-23T20:00"), null);
  assert.equal(zone(new Date("2026-11-23T12:00:00Z")), "Asia/Shanghai (UTC+08:00)");
});

test("durations are said in two units", () => {
  const units = { d: "d", h: "h", min: "min", s: "s" };
  assert.equal(duration(7265, units), "2 h 1 min");
  assert.equal(duration(59.4, units), "59 s");
  assert.equal(duration(86400, units), "1 d");
  assert.equal(duration(0, units), "0 s");
  assert.equal(duration(-5, units), "0 s");
});
