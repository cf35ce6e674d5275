// The console: who is signed in, which view is shown, and the frame around it.
import { html, render, useEffect, useRef, useState } from "./lib.js";
import { LANGUAGES, language, onLanguage, setLanguage, startLanguage, t } from "./i18n.js";
import { listen, match } from "./router.js";
import { session, describe } from "./session.js";
import { onSignedOut } from "./service.js";
import { zone } from "./format.js";
import { seconds } from "./parts/hooks.js";
import { Button, Head, Mark, Notice } from "./parts/ui.js";
import { SignIn } from "./views/sign_in.js";
import { Sales } from "./views/sales.js";
import { SaleEdit, SaleNew } from "./views/sale_form.js";
import { Sale } from "./views/sale.js";
import { Report } from "./views/report.js";
import { Live } from "./views/live.js";
import { Orders } from "./views/orders.js";
import { Attention } from "./views/attention.js";
import { Order } from "./views/order.js";
import { CouponEdit, CouponNew, Coupons } from "./views/coupons.js";
import { MethodEdit, MethodNew, Methods } from "./views/shipping.js";
import { WebhookNew, Webhooks } from "./views/webhooks.js";
import { Webhook } from "./views/webhook.js";
import { Audit } from "./views/audit.js";

const VIEWS = {
  sales: Sales, saleNew: SaleNew, sale: Sale, saleEdit: SaleEdit, report: Report, live: Live, orders: Orders,
  attention: Attention, order: Order, coupons: Coupons, couponNew: CouponNew, coupon: CouponEdit, shipping: Methods,
  methodNew: MethodNew, method: MethodEdit, webhooks: Webhooks, webhookNew: WebhookNew, webhook: Webhook, audit: Audit,
  missing: Missing,
};
const NAVIGATION = ["sales", "live", "orders", "coupons", "shipping", "webhooks", "audit"];
const WARN_MS = 10 * 60 * 1000;

function Missing() {
  return html`<${Head} title=${t("app.missing")} lead=${t("app.missingHelp")} back=${{ href: "/admin/sales", text: t("nav.sales") }} />`;
}

/** The part of the navigation that an address belongs to. */
const partOf = (path) => path.split("/")[2] || "sales";

function Languages() {
  return html`<div class="languages" role="group" aria-label=${t("app.language")}>
    ${Object.entries(LANGUAGES).map(
      ([name, label]) => html`<${Button} key=${name} quiet lang=${name} aria-pressed=${String(language() === name)} onPress=${() => setLanguage(name)}>${label}<//>`,
    )}
  </div>`;
}

function TokenEnds({ expiresAt }) {
  const [left, setLeft] = useState(null);
  useEffect(() => {
    const look = () => setLeft(expiresAt === null ? null : expiresAt - Date.now());
    look();
    const timer = setInterval(look, 30_000);
    return () => clearInterval(timer);
  }, [expiresAt]);
  if (left === null || left > WARN_MS || left <= 0) return null;
  return html`<${Notice} kind="warn">${t("app.tokenEnds", { time: seconds(Math.ceil(left / 60000) * 60) })}<//>`;
}

function Frame({ place, onSignOut, children }) {
  const { user, expiresAt } = describe(session.token);
  const part = partOf(place.path);
  const navigation = useRef(null);
  useEffect(() => {
    // On a phone the navigation is scrolled.
    navigation.current.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [part]);
  return html`
    <a class="skip" href="#content">${t("app.skip")}</a>
    <header class="top">
      <a class="brand" href="/admin"><${Mark} />${t("app.name")}</a>
      <nav aria-label=${t("app.navigation")} ref=${navigation}>
        <ul>
          ${NAVIGATION.map((name) => html`<li key=${name}><a href=${`/admin/${name}`} aria-current=${name === part ? "page" : undefined}>${t(`nav.${name}`)}</a></li>`)}
        </ul>
      </nav>
      <div class="who">
        <span class="muted small" title=${t("app.signedInAs", { user })}><span class="visually-hidden">${t("app.signedInAs", { user: "" })}</span>${user}</span>
        <${Languages} />
        <${Button} quiet class="quiet small" onPress=${onSignOut}>${t("app.signOut")}<//>
      </div>
    </header>
    <main id="content" tabindex="-1">
      <div class="wrap stack">
        <${TokenEnds} expiresAt=${expiresAt} />
        ${children}
      </div>
    </main>
    <footer class="foot muted small"><div class="wrap">${t("app.zone", { zone: zone() })}</div></footer>
  `;
}

const here = () => ({ path: location.pathname, query: location.search });

function App() {
  const [token, setToken] = useState(session.token);
  const [ended, setEnded] = useState(null);
  const [place, setPlace] = useState(here);
  const [, setLanguageSeen] = useState(language());

  useEffect(() => listen(() => {
    setPlace(here());
    scrollTo(0, 0);
  }), []);
  useEffect(() => onLanguage(() => setLanguageSeen(language())), []);
  useEffect(() => onSignedOut(() => leave("ended")), []);

  const leave = (why) => {
    session.end();
    setToken(null);
    setEnded(why);
  };
  const enter = (given) => {
    session.begin(given);
    setEnded(null);
    setToken(given);
  };

  if (!token) return html`<${SignIn} why=${ended} onToken=${enter} languages=${html`<${Languages} />`} />`;
  const { view, params } = match(place.path);
  const query = Object.fromEntries(new URLSearchParams(place.query));
  return html`<${Frame} place=${place} onSignOut=${() => leave(null)}>
    <${VIEWS[view]} key=${place.path} ...${params} query=${query} />
  <//>`;
}

startLanguage();
const root = document.getElementById("console");
root.replaceChildren();
render(html`<${App} />`, root);
