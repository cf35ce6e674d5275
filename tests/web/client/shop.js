// The service as far as a purchase sees it: one order for each user and key, and no more units than there are.

import { EPOCH, World, problem } from "./world.js";

/** A token of `user`, as the service issues them. */
export function token(user, more = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "HS256" })}.${part({ sub: user, ...more })}.signature`;
}

const userOf = (given) => JSON.parse(Buffer.from(given.split(".")[1], "base64url")).sub;

export class Shop extends World {
  orders = new Map(); // by user and key
  stock = 1000;
  refusal = null; // what is refused, while it is
  expired = new Set(); // tokens

  service = ({ method, url, headers, body }) => {
    const given = headers.Authorization?.slice(7);
    const path = url.replace(/\?.*/, "");
    if (method === "GET" && path.startsWith("/seckill/")) {
      return { status: 200, headers: { ETag: '"1"' }, body: { status: "on_sale", stock: this.stock, server_time: this.iso() } };
    }
    if (!given || this.expired.has(given)) return problem(401, "unauthenticated");
    const user = userOf(given);
    if (method === "GET" && path === "/orders") return { status: 200, body: { items: this.of(user).reverse(), next_cursor: null } };
    if (method === "GET") {
      const order = this.of(user).find((one) => path.endsWith(one.order_no));
      return order ? { status: 200, body: order } : problem(404, "order_not_found");
    }
    return this.buy(user, path, headers["Idempotency-Key"], body);
  };

  buy(user, path, key, body) {
    const content = JSON.stringify([path, body]);
    const known = this.orders.get(`${user} ${key}`);
    if (known && known.content !== content) return problem(422, "idempotency_key_reused");
    if (known) return { status: 201, headers: { "Idempotent-Replayed": "true" }, body: known.order };
    if (this.refusal) return problem(409, this.refusal);
    const quantity = body.quantity ?? 1;
    if (this.stock < quantity) return problem(409, "sold_out");
    this.stock -= quantity;
    const order = { order_no: `order-${this.orders.size + 1}`, user_id: user, quantity, status: "pending" };
    this.orders.set(`${user} ${key}`, { content, order });
    return { status: 201, body: order };
  }

  of(user) {
    return [...this.orders.values()].map(({ order }) => order).filter((order) => order.user_id === user);
  }

  /** The purchases that were sent. */
  get purchases() {
    return this.requests.filter(({ method, url }) => method === "POST" && /^\/seckill\/\d+$/.test(url));
  }

  iso() {
    return new Date(EPOCH + this.time.now).toISOString();
  }
}
