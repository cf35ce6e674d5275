// A buyer's journey in TypeScript, with the package as it is installed. Compiled under the strictest settings, and run.
import { SeckillError, createClient, type Choices, type Order, type SaleView } from "seckill-client";
import type { paths } from "seckill-client/api";
import "seckill-client/flash-sale";

const [baseUrl, token, goodsId] = process.argv.slice(2);
if (baseUrl === undefined || token === undefined || goodsId === undefined) throw new Error("url, token, item");

const client = createClient({ baseUrl, getToken: async ({ renew }) => (renew ? null : token), language: "zh" });

function opened(id: string): Promise<SaleView> {
  return new Promise((resolve) => {
    const watch = client.watchSale(id, (view) => {
      if (view.status !== "on_sale") return;
      watch.stop();
      resolve(view);
    });
  });
}

// The element's own types.
export function embed(element: HTMLElementTagNameMap["flash-sale"]): void {
  element.choices = { quantity: 2 };
  element.addEventListener("flash-sale:refused", ({ detail }) => console.log(detail.code, detail.retryAfter));
}

type Statuses = paths["/orders"]["get"]["responses"][200]["content"]["application/json"]["items"][number]["status"];

const page = await client.listGoods({ status: "upcoming", sort: "-starts_at", limit: 5 });
const item = await client.goods(goodsId);
const view = await opened(goodsId);
const choices: Choices = { quantity: 2, coupon_code: "TEN" };
const quote = await client.quote(goodsId, choices);
await client.prepare(goodsId);
const steps: string[] = [];
const bought = await client.buy(goodsId, { ...choices, expected_total: quote.total }, {
  onProgress: (progress) => steps.push(progress.state === "waiting" ? progress.code : progress.state),
});
const cancelled: Order = await client.cancel(bought.order.order_no);
const second = await client.buy(goodsId, { quantity: 1 }, { again: true });
const paid = await client.pay(second.order.order_no);
const mine = await client.orders({ goods_id: item.id });
const statuses: Statuses[] = mine.items.map((order) => order.status);

let refused: SeckillError | undefined;
try {
  await client.buy(goodsId, { quantity: 3 }, { again: true });
} catch (error) {
  if (!(error instanceof SeckillError)) throw error;
  refused = error;
}

const wrong = client.clock.now();
console.log(
  JSON.stringify({
    upcoming: page.items.map(({ id }) => id),
    stock: view.sale?.stock,
    total: quote.total,
    discount: quote.discount,
    steps,
    cancelled: cancelled.status,
    paid: paid.status,
    statuses,
    refused: refused && [refused.code, refused.status, refused.details["limit"], refused.message],
    late: wrong === null ? null : Math.abs(Date.now() - wrong) < 1000,
    pending: await client.pending(goodsId),
  }),
);
