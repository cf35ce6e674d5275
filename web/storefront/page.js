// What the page says of itself: its language and texts, its visitor, and the regions that are read aloud.

import { createClient } from "../client/seckill.js";

const texts = JSON.parse(document.getElementById("page-data").textContent);
const formToken = document.body.dataset.formToken ?? "";
const TOKEN_TRIES = 4;

export const language = document.documentElement.lang;
export const signedIn = formToken !== "";

/** The text for `key`, with its values. */
export function t(key, values = {}) {
  return (texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "?");
}

/** What a refusal or a lost answer is to the visitor, in plain words. */
export function messageOf(error) {
  const reason = texts[`reason.${error.code}.${error.details?.reason}`];
  if (reason) return reason;
  const seconds = error.retryAfter === null ? "?" : Math.ceil(error.retryAfter / 1000);
  return t(`outcome.${codeOf(error)}`, { ...error.details, retry_after: seconds });
}

/** The API's code, or `offline` where no answer came. */
export function codeOf(error) {
  if (error.code === "unauthenticated" && error.cause instanceof TypeError) return "offline";
  return ["network_error", "timeout", "aborted", "invalid_answer"].includes(error.code) ? "offline" : error.code;
}

let known = null; // {token, until}; in memory alone, so that nothing of it is left behind
let fetching = null;

/** A token of the API for the session that the cookie holds. */
async function getToken({ renew }) {
  if (!signedIn) return null;
  if (!renew && known && performance.now() < known.until) return known.token;
  fetching ??= fetchToken().finally(() => (fetching = null));
  known = await fetching;
  return known?.token ?? null;
}

async function fetchToken() {
  for (let tried = 1; ; tried++) {
    try {
      const headers = { "X-Form-Token": formToken, Accept: "application/json" };
      const answer = await fetch("/shop/session/token", { method: "POST", headers });
      if (answer.status < 500 && answer.status !== 429) {
        if (!answer.ok) return null;
        const { token, seconds } = await answer.json();
        return { token, until: performance.now() + (seconds - 30) * 1000 };
      }
      if (tried >= TOKEN_TRIES) throw new TypeError(`no token: ${answer.status}`);
    } catch (error) {
      if (tried >= TOKEN_TRIES) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 500 * tried));
  }
}

export const client = createClient({ language, getToken });

/** Say something to those who do not see it. Sighted visitors see it elsewhere. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

const outcome = document.getElementById("outcome");

/** Show what became of a visitor's action. Without a code it is on its way. */
export function showOutcome(text, { code, good = false, tone, link } = {}) {
  outcome.setAttribute("role", code && !good ? "alert" : "status");
  outcome.dataset.tone = tone ?? (code ? (good ? "good" : "bad") : "info");
  if (code) outcome.dataset.code = code;
  else delete outcome.dataset.code;
  outcome.textContent = text;
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link.href;
    anchor.textContent = link.text;
    outcome.append(" ", anchor);
  }
}
