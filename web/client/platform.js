// What the client takes from the browser. Tests and other hosts put their own in its place.

export function browser(overrides) {
  const own = globalThis;
  return {
    fetch: (...request) => own.fetch(...request),
    storage: attempt(() => own.localStorage), // reading the property throws where storage is blocked
    locks: own.navigator?.locks, // missing in older browsers, and on pages that come over plain HTTP
    document: own.document,
    window: own.window,
    now: () => own.performance.now(),
    date: () => Date.now(), // of the visitor: never for the time of a sale
    random: () => Math.random(),
    setTimeout: (run, wait) => own.setTimeout(run, wait),
    clearTimeout: (timer) => own.clearTimeout(timer),
    id: uuid,
    ...overrides,
  };
}

export function attempt(run, otherwise = null) {
  try {
    return run() ?? otherwise;
  } catch {
    return otherwise;
  }
}

// crypto.randomUUID is missing on pages that come over plain HTTP.
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
