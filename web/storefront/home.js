// The goods, live: only those that are on the screen are watched.

import { client } from "./page.js";
import { showSale } from "./sale.js";

export function start() {
  const watches = new Map();
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting && !watches.has(target)) {
          watches.set(target, client.watchSale(target.dataset.goodsId, (view) => showSale(target, view)));
        } else if (!isIntersecting) {
          watches.get(target)?.stop();
          watches.delete(target);
        }
      }
    },
    { rootMargin: "100px" },
  );
  for (const article of document.querySelectorAll("article[data-goods-id]")) seen.observe(article);
}
