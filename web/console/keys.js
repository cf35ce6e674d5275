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
 * until `settle(request)` says that a certain answer came.
 */
export function createKeyring(makeKey = randomKey) {
  let next = makeKey(); // made ahead of the press
  let current = null;
  const unsettled = new Map(); // keys by what was sent
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
    doubt: (request, key) => unsettled.set(signatureOf(request), key),
    settle: (request) => unsettled.delete(signatureOf(request)),
    renew() {
      current = null;
    },
  };
}
