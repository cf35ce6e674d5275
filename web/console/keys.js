// Idempotency keys: one for each thing that somebody means to do once, however often they press.

/** A random key. `crypto.randomUUID` is missing where a page is not served over TLS. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * The keys of one control. `keyFor(request)` gives the same key for the same request until `renew()`: a press that is
 * repeated, before or after the answer, is the same request under the same key, and the service does it once. Another
 * request gets another key, since one key may stand for one request only.
 *
 * A request whose outcome is unknown may have been done. `doubt(request, key)` keeps its key, whatever is typed meanwhile,
 * until `settle(request)` says that a certain answer came. `unsettled` is where those keys are kept.
 */
export function createKeyring(makeKey = randomKey, unsettled = new Map()) {
  let next = makeKey(); // made ahead of the press
  let current = null;
  const signatureOf = (request) => JSON.stringify(request) ?? "";

  return {
    keyFor(request) {
      const signature = signatureOf(request);
      if (current?.signature !== signature) {
        const kept = unsettled.get(signature);
        current = { signature, key: kept ?? next };
        if (!kept) next = makeKey();
      }
      return current.key;
    },
    isInDoubt: (request) => Boolean(unsettled.get(signatureOf(request))),
    doubt: (request, key) => unsettled.set(signatureOf(request), key),
    settle: (request) => unsettled.delete(signatureOf(request)),
    renew() {
      current = null;
    },
  };
}

const STORED = "console.keys";
const STORED_MAX = 20;
const STORED_MS = 2 * 60_000;

/** Forget all of them: another administrator may sign in here. */
export const forgetStoredKeys = () => ownStorage()?.removeItem(STORED);

function ownStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null; // forbidden
  }
}

/**
 * Unsettled keys of the control called `name` that outlive a reload of the page: for this tab, and for two minutes.
 * After that, the same request is a new one.
 */
export function storedKeys(name, { storage = ownStorage(), now = Date.now } = {}) {
  const read = () => {
    try {
      const found = JSON.parse(storage.getItem(STORED) ?? "[]");
      return found.filter(({ until }) => until > now());
    } catch {
      return [];
    }
  };
  const write = (entries) => {
    try {
      storage.setItem(STORED, JSON.stringify(entries.slice(-STORED_MAX)));
    } catch {
      // No room, or storage is forbidden: the page itself still keeps them.
    }
  };
  const here = new Map(); // what this page has set goes ahead of what is stored
  const others = (signature) => read().filter((one) => one.name !== name || one.signature !== signature);
  return {
    get: (signature) =>
      here.get(signature) ?? read().find((one) => one.name === name && one.signature === signature)?.key,
    set(signature, key) {
      here.set(signature, key);
      write([...others(signature), { name, signature, key, until: now() + STORED_MS }]);
    },
    delete(signature) {
      here.delete(signature);
      write(others(signature));
    },
  };
}
