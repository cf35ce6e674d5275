// The fields of an item, as forms and histories show them.

const URL_FORM = /^(https?:\/\/[^\s/]\S*|\/([^\s/]\S*)?)$/;

/** The fields of an item; of an edit, those that may change. `stock` moves by its own control. */
export const GOODS_FIELDS = [
  { name: "name", label: "sales.name", type: "text", required: true, wide: true, spell: true, part: "what" },
  { name: "description", label: "sales.description", type: "text", lines: true, max: 10_000, wide: true, spell: true, part: "what" },
  { name: "image_url", label: "sales.imageUrl", help: "sales.imageUrlHelp", type: "text", max: 2000, pattern: URL_FORM, wide: true, part: "what" },
  { name: "currency", label: "sales.currency", help: "sales.currencyHelp", type: "currency", required: true, part: "price", once: true },
  { name: "price", label: "sales.price", type: "money", required: true, part: "price" },
  { name: "list_price", label: "sales.listPrice", help: "sales.listPriceHelp", type: "money", part: "price" },
  { name: "stock", label: "sales.stock", help: "sales.stockHelp", type: "count", required: true, part: "units", once: true },
  { name: "per_user_limit", label: "sales.perUserLimit", help: "sales.perUserLimitHelp", type: "count", min: 1, empties: "noLimit", part: "units" },
  { name: "order_limit", label: "sales.orderLimit", help: "sales.orderLimitHelp", type: "count", min: 1, empties: "byDefault", part: "units" },
  { name: "starts_at", label: "sales.startsAt", type: "time", part: "window" },
  { name: "ends_at", label: "sales.endsAt", type: "time", part: "window" },
  { name: "shippable", label: "sales.shippable", help: "sales.shippableHelp", type: "flag", part: "window" },
];
