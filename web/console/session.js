// The administrator's token: kept for this tab alone, and nowhere when it is closed.

import { forgetStoredKeys } from "./keys.js";

const NAME = "console.token";

const claimsOf = (token) => {
  try {
    const middle = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(middle), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
};

/** A token as it was meant: without blanks, line breaks and the word that goes before it in a header. */
export const cleaned = (text) => text.trim().replace(/^(authorization:\s*)?bearer\s+/i, "").replace(/\s+/g, "");

/** Whether it can be sent in a header at all. */
export const isSendable = (token) => /^[\x21-\x7e]{1,8000}$/.test(token);

/** Who a token is for, and until when, by its own words: for showing only, since just the service can verify it. */
export function describe(token) {
  const { sub, exp } = claimsOf(token);
  return { user: typeof sub === "string" ? sub : "", expiresAt: Number.isFinite(exp) ? exp * 1000 : null };
}

export const session = {
  get token() {
    return sessionStorage.getItem(NAME);
  },
  begin(token) {
    sessionStorage.setItem(NAME, token);
  },
  end() {
    forgetStoredKeys();
    sessionStorage.removeItem(NAME);
  },
};
