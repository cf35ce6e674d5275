import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError, createApi, whenFree } from "../../../web/console/api.js";
import { cleaned, describe, isSendable } from "../../../web/console/session.js";

const problem = (status, body, headers = {}) => new Response(JSON.stringify(body), { status, headers });

function apiWith(answers, { onSignedOut } = {}) {
  const sent = [];
  const slept = [];
  const api = createApi({
    getToken: () => "token",
    getLanguage: () => "zh",
    onSignedOut,
    fetch: async (path, options) => {
      sent.push({ path, ...options });
      const next = answers.shift();
      if (next instanceof Error) throw next;
      return next;
    },
    sleep: async (ms) => slept.push(ms),
  });
  return { api, sent, slept };
}

test("a request carries token, language, key and version", async () => {
  const { api, sent } = apiWith([Response.json({ id: 1 })]);
  assert.deepEqual(await api.send("PATCH", "/goods/1", { body: { price: 1 }, key: "k", version: 3 }), { id: 1 });
  assert.deepEqual(sent[0].headers, {
    Accept: "application/json", "Accept-Language": "zh", Authorization: "Bearer token",
    "Content-Type": "application/json", "Idempotency-Key": "k", "If-Match": '"3"',
  });
  assert.equal(sent[0].body, '{"price":1}');
});

test("what may be lost is sent again under the same key", async () => {
  const { api, sent, slept } = apiWith([
    new TypeError("fetch failed"),
    problem(503, { code: "busy" }, { "Retry-After": "2" }),
    Response.json({ ok: true }),
  ]);
  const waits = [];
  await api.send("POST", "/goods/1/pause", { key: "k", onWait: (seconds) => waits.push(seconds) });
  assert.deepEqual(sent.map((one) => one.headers["Idempotency-Key"]), ["k", "k", "k"]);
  assert.deepEqual(waits, [1, 2]);
  assert.ok(slept[1] >= 2000);
});

test("it is given up after some tries, and never tried again without a key", async () => {
  const busy = () => problem(503, { code: "busy" });
  const keyed = apiWith([busy(), busy(), busy(), busy()]);
  await assert.rejects(keyed.api.send("POST", "/x", { key: "k" }), { code: "busy" });
  assert.equal(keyed.sent.length, 3);
  const bare = apiWith([busy(), busy()]);
  await assert.rejects(bare.api.send("DELETE", "/x"), { code: "busy" });
  assert.equal(bare.sent.length, 1);
});

test("a change that may have been made says so, until it is judged", async () => {
  const lost = () => new TypeError("fetch failed");
  const sold = () => problem(409, { code: "stock_conflict" });
  for (const [answers, isUnsettled] of [
    [[lost(), lost(), lost()], true],
    [[problem(503, { code: "unavailable" }), problem(503, { code: "busy" }), problem(503, { code: "busy" })], true],
    [[lost(), problem(429, { code: "rate_limited" })], true],
    [[lost(), sold()], false],
    [[problem(503, { code: "busy" }), problem(429, { code: "rate_limited" })], false],
  ]) {
    const { api } = apiWith(answers);
    await assert.rejects(api.send("PATCH", "/goods/1", { key: "k" }), { isUnsettled });
  }
  await assert.rejects(apiWith([lost()]).api.send("DELETE", "/webhooks/1"), { isUnsettled: false });
});

test("a refusal is not tried again, and tells of its fields", async () => {
  const errors = [{ field: "price", code: "out_of_range", detail: "…" }];
  const { api, sent } = apiWith([problem(422, { code: "validation_failed", detail: "d", errors, request_id: "r" })]);
  await assert.rejects(api.send("POST", "/goods", { body: {}, key: "k" }), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.code, error.status, error.errors, error.requestId], ["validation_failed", 422, errors, "r"]);
    return true;
  });
  assert.equal(sent.length, 1);
});

test("a token that no longer counts ends the session; one that is tried does not", async () => {
  const heard = [];
  const { api } = apiWith([problem(401, { code: "unauthenticated" }), problem(401, { code: "unauthenticated" })], {
    onSignedOut: (error) => heard.push(error.code),
  });
  await assert.rejects(api.get("/coupons", { token: "another" }));
  assert.deepEqual(heard, []);
  await assert.rejects(api.get("/coupons"));
  assert.deepEqual(heard, ["unauthenticated"]);
});

test("a proxy's page in place of a problem is a failure all the same", async () => {
  const { api } = apiWith([new Response("<h1>Bad gateway</h1>", { status: 502 })]);
  await assert.rejects(api.get("/goods"), { code: "unavailable", status: 502 });
});

test("what is busy for somebody else is asked for again, as often as is fair", async () => {
  const busy = () => Promise.reject(new ApiError("busy", { retryAfter: 3 }));
  const answers = [busy, busy, async () => "report"];
  const slept = [];
  let waits = 0;
  const sleep = async (ms) => slept.push(ms);
  assert.equal(await whenFree(() => answers.shift()(), { onWait: () => (waits += 1), sleep }), "report");
  assert.deepEqual([slept, waits], [[3000, 3000], 2]);
  await assert.rejects(whenFree(busy, { sleep, attempts: 4 }), { code: "busy" });
  await assert.rejects(whenFree(() => Promise.reject(new ApiError("offline")), { sleep }), { code: "offline" });
});

test("a token is taken as people paste it", () => {
  assert.equal(cleaned("  Authorization: Bearer abc.\n def "), "abc.def");
  assert.equal(isSendable("abc.def"), true);
  assert.equal(isSendable("ab\u00e9"), false);
  assert.equal(isSendable(""), false);
  const claims = Buffer.from(JSON.stringify({ sub: "王", exp: 5 })).toString("base64url");
  assert.deepEqual(describe(`x.${claims}.y`), { user: "王", expiresAt: 5000 });
  assert.deepEqual(describe("nonsense"), { user: "", expiresAt: null });
});
