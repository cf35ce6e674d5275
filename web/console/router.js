// Addresses of the console and the views behind them. Pure but for `navigate`.

const ROUTES = [
  ["/admin", "sales"],
  ["/admin/sales", "sales"],
  ["/admin/sales/new", "saleNew"],
  ["/admin/sales/:id", "sale"],
  ["/admin/sales/:id/edit", "saleEdit"],
  ["/admin/sales/:id/report", "report"],
  ["/admin/live", "live"],
  ["/admin/orders", "orders"],
  ["/admin/orders/attention", "attention"],
  ["/admin/orders/:orderNo", "order"],
  ["/admin/coupons", "coupons"],
  ["/admin/coupons/new", "couponNew"],
  ["/admin/coupons/:code", "coupon"],
  ["/admin/shipping", "shipping"],
  ["/admin/shipping/new", "methodNew"],
  ["/admin/shipping/:code", "method"],
  ["/admin/webhooks", "webhooks"],
  ["/admin/webhooks/new", "webhookNew"],
  ["/admin/webhooks/:id", "webhook"],
  ["/admin/audit", "audit"],
].map(([pattern, view]) => [pattern.split("/"), view]);

/** The view and its parameters for a path; the view `missing` where there is none. Words win over parameters. */
export function match(path) {
  const parts = path.replace(/\/+$/, "").split("/");
  for (const [pattern, view] of ROUTES) {
    const params = parts.length === pattern.length ? matched(pattern, parts) : null;
    if (params) return { view, params };
  }
  return { view: "missing", params: {} };
}

function matched(pattern, parts) {
  const params = {};
  for (const [index, part] of pattern.entries()) {
    if (!part.startsWith(":")) {
      if (part !== parts[index]) return null;
      continue;
    }
    try {
      params[part.slice(1)] = decodeURIComponent(parts[index]);
    } catch {
      return null; // a percent sign that encodes nothing
    }
    if (!parts[index]) return null;
  }
  return params;
}

/** An address with a query of what is set. */
export function address(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** The parts of a path, encoded and joined. */
export const path = (...parts) => `/${parts.map((part) => encodeURIComponent(part)).join("/")}`;

const MOVED = "console:moved";

/** Go to an address of the console without loading the page anew. */
export function navigate(to, replace = false) {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  dispatchEvent(new Event(MOVED));
}

/** Call `moved` whenever the address changes, and follow links within the console. Returns what ends it. */
export function listen(moved) {
  const follow = (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const inside = link.origin === location.origin && /^\/admin(\/|$)/.test(link.pathname);
    if (!inside || link.target || link.hasAttribute("download")) return;
    if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  };
  addEventListener("popstate", moved);
  addEventListener(MOVED, moved);
  document.addEventListener("click", follow);
  return () => {
    removeEventListener("popstate", moved);
    removeEventListener(MOVED, moved);
    document.removeEventListener("click", follow);
  };
}
