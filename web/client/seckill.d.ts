// Types of seckill.js, upon those of the API (api.d.ts, made from /openapi.json).

import type { components, operations } from "./api.js";

type Schemas = components["schemas"];
type Query<Id extends keyof operations> = NonNullable<operations[Id]["parameters"]["query"]>;

export type Goods = Schemas["Goods"];
export type GoodsPage = Schemas["GoodsPage"];
export type Sale = Schemas["SaleState"];
export type SaleStatus = Sale["status"];
export type Quote = Schemas["Quote"];
export type Order = Schemas["Order"];
export type OrdersPage = Schemas["OrdersPage"];
export type ShippingMethodsPage = Schemas["ShippingMethodsPage"];
export type Address = Schemas["Address"];
/** What to buy: quantity, coupon, shipping, address, and the total that the buyer was shown. */
export type Choices = Schemas["PurchaseBody"];
export type Problem = Schemas["Problem"];

export interface ClientOptions {
  /** Where the service is, such as `https://seckill.example`; the page's own origin by default. */
  baseUrl?: string;
  /** The buyer's token. */
  token?: string;
  /** In place of `token`: asked ahead of each request; with `renew` after a 401, and then should return another. */
  getToken?: (why: { renew: boolean }) => string | null | undefined | Promise<string | null | undefined>;
  /** Whose purchases are remembered in this browser; by default the `sub` of the token. Needed where tokens are not JWTs. */
  user?: string | (() => string);
  /** Of error texts: `en` or `zh`; by default the browser's. */
  language?: string;
  fetch?: typeof fetch;
  /** In place of localStorage. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  /** Parts of the browser to replace, for tests: see platform.js. */
  platform?: Partial<Platform>;
}

export interface Platform {
  fetch: typeof fetch;
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null;
  locks: Pick<LockManager, "request"> | undefined;
  document: Document | undefined;
  window: Window | undefined;
  now(): number;
  date(): number;
  random(): number;
  setTimeout(run: () => void, wait: number): unknown;
  clearTimeout(timer: unknown): void;
  id(): string;
}

/** A sale as it is at `now`. Times are in milliseconds. */
export interface SaleView {
  goodsId: number | string;
  /** The latest answer, or null before the first. */
  sale: Sale | null;
  /** By the server's clock: it turns to `on_sale` at the start, without waiting for the next answer. */
  status: SaleStatus | null;
  /** The server's time, or null before the first answer. */
  now: number | null;
  /** What is left until the start, at least 0; null if the sale has no start, or before the first answer. */
  startsIn: number | null;
  endsIn: number | null;
  /** Which of the two comes next: the start of a sale that has not begun, paused or not, or the end of one that has. */
  ahead: "start" | "end" | null;
  /** Why the latest request failed, or null: `sale` is then older than it should be. */
  error: SeckillError | null;
}

export interface Watch {
  stop(): void;
  /** Asks now. */
  refresh(): Promise<void>;
}

/**
 * What a purchase is doing. `waiting`: `wait` milliseconds until it is tried again, because of `code`.
 * `other_tab`: another tab is buying the same item for the same buyer; its outcome is this one's too.
 */
export type Progress =
  | { state: "sending"; attempt: number }
  | { state: "waiting"; attempt: number; code: string; wait: number }
  | { state: "other_tab" };

export interface Bought {
  order: Order;
  /** Whether the order was placed before: by an earlier request of this purchase, or in another tab. */
  replayed: boolean;
}

export interface Pending {
  /** When it was last sent, by the visitor's clock. */
  since: number;
  /** What was asked for. */
  body: Choices;
  /** Whether that is so short ago that a page may go on with it by itself. */
  recent: boolean;
}

interface Cancellable {
  signal?: AbortSignal;
}

export interface BuyOptions extends Cancellable {
  /** Called as the purchase goes on. */
  onProgress?: (progress: Progress) => void;
  /** Whether the buyer wants another one: else a call within two seconds of a purchase is its double click. */
  again?: boolean;
}

export interface Client {
  /** The server's time in milliseconds since 1970, null before the first answer; and how wrong it may be at most. */
  clock: { now(): number | null; error(): number };
  /** Calls `callback` with each change, and at each full second of a countdown. Asks nothing while the tab is hidden. */
  watchSale(id: number | string, callback: (view: SaleView) => void): Watch;
  listGoods(query?: Query<"listGoods">, options?: Cancellable): Promise<GoodsPage>;
  goods(id: number | string, options?: Cancellable): Promise<Goods>;
  shippingMethods(query?: Query<"listShippingMethods">, options?: Cancellable): Promise<ShippingMethodsPage>;
  /** What a purchase would cost. Reserves nothing. */
  quote(id: number | string, choices?: Choices, options?: Cancellable): Promise<Quote>;
  /** Makes the key of the next purchase: to be called when the page shows the button. */
  prepare(id: number | string): Promise<void>;
  /** A purchase that was begun and is not settled: `buy` goes on with it. */
  pending(id: number | string): Promise<Pending | null>;
  /** Buys, once: repeats the request under one key until an answer settles it, for 75 seconds at most. */
  buy(id: number | string, choices?: Choices, options?: BuyOptions): Promise<Bought>;
  orders(query?: Query<"listOrders">, options?: Cancellable): Promise<OrdersPage>;
  order(orderNo: string, options?: Cancellable): Promise<Order>;
  /** Where the service sells without money (`PAYMENT_PROVIDER=test`); elsewhere `not_found`. */
  pay(orderNo: string, options?: Cancellable): Promise<Order>;
  cancel(orderNo: string, options?: Cancellable): Promise<Order>;
}

export function createClient(options?: ClientOptions): Client;

/** What every call rejects with. */
export class SeckillError extends Error {
  /**
   * The API's (`sold_out`, `busy`, …), or the client's own: `network_error`, `timeout`, `aborted`, `invalid_answer`
   * (something else than the service answered), `user_changed` (another user has signed in during a purchase).
   */
  readonly code: string;
  /** Of HTTP; 0 where no answer came. */
  readonly status: number;
  /** Milliseconds that the service asks to wait, or null. */
  readonly retryAfter: number | null;
  /** The problem's further members: `available`, `limit`, `starts_at`, `quote`, `reason`, `errors`, `request_id`, … */
  readonly details: Record<string, unknown>;
  /** Of a purchase: whether it may have been made all the same. The next `buy` tells. */
  readonly unsettled: boolean;
}
