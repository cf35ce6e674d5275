// The storefront's pages with JavaScript. Without it they are forms and links (templates/).

import * as home from "./home.js";
import * as item from "./item.js";
import * as orders from "./orders.js";
import { t } from "./page.js";
import { localiseTimes } from "./shown.js";

const pages = { home, item, orders };

localiseTimes();
pages[document.body.dataset.page]?.start();

const offline = document.getElementById("offline");
const showOffline = () => (offline.textContent = navigator.onLine ? "" : t("offline"));
addEventListener("offline", showOffline);
addEventListener("online", showOffline);
showOffline();

// A photograph that cannot be loaded gives way to the drawing.
for (const photo of document.querySelectorAll("img[data-drawing]")) {
  const draw = () => (photo.src = photo.dataset.drawing);
  if (photo.complete && !photo.naturalWidth) draw();
  else photo.addEventListener("error", draw, { once: true });
}

/** For the host: signs the visitor in by a token of the API, and shows this page again. docs/storefront.md */
globalThis.flashSale = {
  signIn(token) {
    const form = document.createElement("form");
    form.method = "post";
    form.action = "/shop/session";
    for (const [name, value] of Object.entries({ token, next: location.pathname })) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = name;
      field.value = value;
      form.append(field);
    }
    document.body.append(form);
    form.submit();
  },
};
