// A buyer's journey with `shop.ts` of docs/frontend.md: watch, be early, quote, buy, buy again, pay, be refused.
import { buy, connect, look, messageOf, settled, startsIn, type Outcome, type Problem } from "./shop.js";

const [baseUrl, token, goodsId] = process.argv.slice(2);
if (baseUrl === undefined || token === undefined || goodsId === undefined) throw new Error("url, token, item");

const api = connect(baseUrl, async () => token);
const item = Number(goodsId);
const problemOf = (outcome: Outcome): Problem => {
  if ("problem" in outcome) return outcome.problem;
  throw new Error("it was not refused");
};

const first = await look(api, item);
const ahead = startsIn(first);
const early = problemOf(await buy(api, item, "early", {}));
const same = await look(api, item, first);

await new Promise((resolve) => setTimeout(resolve, startsIn(first)));
let seen = first;
while (seen.sale.status !== "on_sale") seen = await look(api, item, seen);

const path = { goods_id: item };
const unknown = await api.POST("/seckill/{goods_id}/quote", { params: { path }, body: { coupon_code: "NONE" } });
if (!unknown.error) throw new Error("the coupon was taken");
const quote = await api.POST("/seckill/{goods_id}/quote", { params: { path }, body: { quantity: 2 } });
const choices = { quantity: 2, expected_total: quote.data?.total ?? 0 };
const bought = await buy(api, item, "key", choices);
const again = await buy(api, item, "key", choices);
if (!("order" in bought) || !("order" in again)) throw new Error("not bought");

const over = problemOf(await buy(api, item, "over", {}));
const wrong = problemOf(await buy(api, item, "wrong", { quantity: 0 }));
await api.POST("/orders/{order_no}/pay", { params: { path: { order_no: bought.order.order_no } }, body: {} });

// A token that ran out, a lost connection and a busy service, one after the other: none of them ends it.
const answers: (() => Promise<Response>)[] = [];
const direct = globalThis.fetch;
globalThis.fetch = (input, init) => (answers.shift() ?? (() => direct(input, init)))();
let held = "expired";
const rough = connect(baseUrl, async (refused) => (refused ? (held = token) : held));
const fault = async (): Promise<Response> => {
  throw new TypeError("connection lost");
};
const busy = async (): Promise<Response> => Response.json({ code: "busy" }, { status: 503, headers: { "Retry-After": "0" } });
answers.push(fault, busy);
const renewed = await buy(rough, item, "key", choices);
answers.push(fault, busy);
const order = await settled(rough, bought.order.order_no);
const mine = await api.GET("/orders", { params: { query: { status: "paid" } } });

// What an operator's page sends compiles too; what may be left out is left out.
export const operate = async () => {
  await api.POST("/goods", { body: { name: "x", currency: "CNY", price: 1, stock: 1 } });
  await api.PATCH("/goods/{goods_id}", { params: { path }, body: { stock_delta: 5 } });
  await api.POST("/coupons", { body: { code: "A", kind: "percent", percent: 10 } });
};

console.log(
  JSON.stringify({
    ahead: ahead > 0,
    early: [early.code, early.starts_at === first.sale.starts_at],
    same: same.sale === first.sale && same.lead !== first.lead, // the clock is set anew
    total: [quote.data?.total, bought.order.total],
    replayed: [bought.replayed, again.replayed, again.order.order_no === bought.order.order_no],
    over: messageOf(over),
    wrong: [messageOf(wrong), wrong.errors?.[0]?.maximum],
    coupon: [unknown.error.reason === "unknown", messageOf(unknown.error)],
    renewed: "order" in renewed && renewed.order.order_no === bought.order.order_no,
    left: answers.length,
    paid: [order.status, mine.data?.items.length],
  }),
);
