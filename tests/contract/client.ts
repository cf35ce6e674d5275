// A client with types from /openapi.json, under the strictest settings. Tried by hand, since it needs npm:
//
//   npm install openapi-typescript openapi-fetch typescript
//   npx openapi-typescript http://127.0.0.1:8000/openapi.json -o api.d.ts
//   npx tsc --strict --noEmit --exactOptionalPropertyTypes --noUncheckedIndexedAccess --target es2022 \
//     --module nodenext --moduleResolution nodenext --lib es2022,dom client.ts
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

type Problem = components["schemas"]["Problem"];
const client = createClient<paths>({ baseUrl: "http://127.0.0.1:8000" });
const params = { path: { goods_id: 1 } };

// What may be left out is left out.
export async function buy(): Promise<string> {
  const bought = await client.POST("/seckill/{goods_id}", { params, body: {} });
  if (bought.error) return bought.error.errors?.[0]?.field ?? bought.error.code;
  const address: components["schemas"]["Address"] = { name: "a", phone: "123", region: "CN-31", line1: "x" };
  await client.POST("/seckill/{goods_id}", {
    params: { ...params, header: { "Idempotency-Key": "k" } },
    body: { quantity: 2, address, coupon_code: null },
  });
  return bought.data.order_no;
}

export async function operate(): Promise<string | null | undefined> {
  await client.POST("/goods", { body: { name: "x", currency: "CNY", price: 1, stock: 1 } });
  await client.PATCH("/goods/{goods_id}", { params, body: { stock_delta: 5 } });
  await client.POST("/coupons", { body: { code: "A", kind: "percent", percent: 10 } });
  await client.GET("/goods");
  const page = await client.GET("/orders", { params: { query: { status: "paid" } } });
  const total: number = page.data?.items[0]?.total ?? 0;
  const problem: Problem = { type: "", title: "", status: total, code: "", detail: "", request_id: "" };
  return page.data?.items[0]?.paid_at ?? problem.code;
}
