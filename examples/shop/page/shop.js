// All that the shop's page does: it hands its buyer's token to the element, and hears what was bought.

import { configure } from "https://seckill.example/static/client/v1/flash-sale.js";

async function getToken() {
  const answer = await fetch("/token", { method: "POST" });
  return (await answer.json()).token;
}

configure({ getToken });

const news = document.querySelector("#news");
document.addEventListener("flash-sale:bought", ({ detail }) => {
  news.textContent = `The shop has heard of order ${detail.order.order_no}.`;
});
document.addEventListener("flash-sale:refused", ({ detail }) => {
  news.textContent = `The shop has heard: ${detail.code}.`;
});
