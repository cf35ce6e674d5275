// Types of flash-sale.js.

import type { Choices, ClientOptions, Order } from "./seckill.js";

export * from "./seckill.js";

export interface ElementOptions extends Pick<ClientOptions, "token" | "getToken" | "user"> {
  /** Where the service is; by default where this script came from. */
  service?: string;
}

/** What all elements of the page have in common. An element's own `token` or `getToken` goes first. */
export function configure(options: ElementOptions): void;

export interface BoughtDetail {
  order: Order;
  replayed: boolean;
}

export interface RefusedDetail {
  code: string;
  status: number;
  retryAfter: number | null;
  details: Record<string, unknown>;
  unsettled: boolean;
}

export class FlashSale extends HTMLElement {
  set token(token: string | undefined);
  set getToken(getToken: ClientOptions["getToken"]);
  get choices(): Choices;
  set choices(choices: Choices);
  restart(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "flash-sale": FlashSale;
  }
  interface GlobalEventHandlersEventMap {
    "flash-sale:bought": CustomEvent<BoughtDetail>;
    "flash-sale:refused": CustomEvent<RefusedDetail>;
  }
}
