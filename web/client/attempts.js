// What is remembered of purchases, in localStorage: of each user and item the key of the next or the unsettled purchase.

import { attempt } from "./platform.js";

const REMEMBERED = 5; // bodies under one key, and purchases that were made

/**
 * {key, bodies, at, doubt, over, bought}: `bodies` are those sent under `key`, the last one last; none were sent yet if
 * it is empty. `at` is when it was last sent, `doubt` when a request under it last got no answer, both by the visitor's
 * clock. `over` says that the buyer was told that nothing was bought. `bought` lists the latest purchases that were
 * made: {key, orderNo, at}.
 */
export function createAttempts(platform) {
  const memory = new Map(); // where storage is blocked or full, the tab still remembers
  const unsaved = new Set(); // names whose stored entry is older than that in memory
  const fresh = (bought = []) => ({ key: platform.id(), bodies: [], at: 0, doubt: 0, over: false, bought });

  function read(name) {
    const text = unsaved.has(name) ? null : attempt(() => platform.storage.getItem(name));
    const stored = text && attempt(() => JSON.parse(text));
    if (stored && typeof stored.key === "string" && Array.isArray(stored.bodies) && Array.isArray(stored.bought)) return stored;
    return memory.get(name) ?? null;
  }

  function write(name, entry) {
    memory.set(name, entry);
    unsaved.add(name);
    attempt(() => {
      platform.storage.setItem(name, JSON.stringify(entry));
      unsaved.delete(name);
    });
    return entry;
  }

  return {
    read,
    /** The entry of the next purchase, made if there is none; with `key` if the page was shown with that. */
    open(name, key) {
      const found = read(name);
      return found ?? write(name, key ? { ...fresh(), key } : fresh());
    },
    /** To be called ahead of each request. */
    sending(name, entry, body) {
      const text = JSON.stringify(body);
      const bodies = [...entry.bodies.filter((other) => JSON.stringify(other) !== text), body].slice(-REMEMBERED);
      return write(name, { ...entry, bodies, at: platform.date(), over: false });
    },
    /** A request may have been received that was not answered. */
    doubt: (name, entry) => write(name, { ...entry, doubt: platform.date() }),
    over: (name, entry) => write(name, { ...entry, over: true }),
    /** It was answered: the next purchase has another key. */
    settle(name, entry, orderNo) {
      const bought = orderNo ? [...entry.bought, { key: entry.key, orderNo, at: platform.date() }].slice(-REMEMBERED) : entry.bought;
      return write(name, fresh(bought));
    },
  };
}

/** The user that a token names, without any check: it only keeps users of one browser apart. */
export function userOf(token) {
  const subject = attempt(() => {
    const [, claims] = token.split(".");
    const bytes = Uint8Array.from(atob(claims.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes)).sub;
  });
  return typeof subject === "string" ? subject : null;
}
