// A world for tests of the client: time that passes when it is told to, tabs that share a storage, and a service.

/** Time: `now` in milliseconds, and timers that run when `until` moves it. */
export class Time {
  now = 1000;
  #timers = new Map();
  #next = 1;

  after(wait, run) {
    const id = this.#next++;
    this.#timers.set(id, { at: this.now + Math.max(0, wait), run });
    return id;
  }

  cancel(id) {
    this.#timers.delete(id);
  }

  /** Lets time pass until `done` says so; true if it did within `most` milliseconds. */
  async until(done, most = 600_000) {
    const end = this.now + most;
    for (;;) {
      await settled();
      if (done()) return true;
      const [id, timer] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (!timer || timer.at > end) {
        this.now = end;
        return false;
      }
      this.now = timer.at;
      this.#timers.delete(id);
      timer.run();
    }
  }

  /** The machine sleeps: timers stand still meanwhile. */
  sleep(wait) {
    this.now += wait;
    for (const timer of this.#timers.values()) timer.at += wait;
  }

  pass(wait) {
    return this.until(() => false, wait);
  }

  /** The value of `promise`, as time passes. */
  async value(promise) {
    let done = false;
    promise.then(
      () => (done = true),
      () => (done = true),
    );
    if (!(await this.until(() => done))) throw new Error("no answer in the end");
    return promise;
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

export class Storage {
  items = new Map();
  getItem = (name) => this.items.get(name) ?? null;
  setItem = (name, value) => void this.items.set(name, String(value));
  removeItem = (name) => void this.items.delete(name);
  get length() {
    return this.items.size;
  }
  key = (index) => [...this.items.keys()][index] ?? null;
}

export class BlockedStorage {
  getItem() {
    throw new DOMException("blocked", "SecurityError");
  }
  setItem() {
    throw new DOMException("full", "QuotaExceededError");
  }
  removeItem() {
    throw new DOMException("blocked", "SecurityError");
  }
}

/** navigator.locks of all tabs: one holder for each name, in the order in which they asked. */
export class Locks {
  #held = new Map();

  of(tab) {
    return {
      request: (name, options, work) => this.#request(tab, name, options, work),
    };
  }

  release(tab) {
    for (const [name, queue] of this.#held) {
      if (queue[0]?.tab === tab) queue.shift();
      this.#held.set(name, queue.filter((one) => one.tab !== tab));
      this.#held.get(name)[0]?.grant();
    }
  }

  async #request(tab, name, { ifAvailable, signal } = {}, work) {
    const queue = this.#held.get(name) ?? [];
    this.#held.set(name, queue);
    if (ifAvailable && queue.length) return work(null);
    const turn = { tab };
    await new Promise((resolve, reject) => {
      turn.grant = resolve;
      signal?.addEventListener("abort", () => {
        const place = queue.indexOf(turn);
        if (place > 0) queue.splice(place, 1);
        reject(new DOMException("given up", "AbortError"));
      });
      queue.push(turn);
      if (queue[0] === turn) resolve();
    });
    try {
      return await work({ name });
    } finally {
      const now = this.#held.get(name);
      if (now[0] === turn) {
        now.shift();
        now[0]?.grant();
      }
    }
  }
}

/** A page, with what the client takes from the browser. `kill` ends it as a crash does. */
export class Tab {
  dead = false;
  visibilityState = "visible";
  #listeners = new Map();

  constructor(world, { locks = true, storage = world.storage, skew = 0 } = {}) {
    this.world = world;
    this.asleep = 0; // milliseconds for which performance.now() stood still
    this.skew = skew; // by which the visitor's clock is wrong
    const { time } = world;
    const alive = (run) => () => this.dead || run();
    const events = {
      addEventListener: (name, run) => this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), run]),
      removeEventListener: (name, run) =>
        this.#listeners.set(name, (this.#listeners.get(name) ?? []).filter((one) => one !== run)),
    };
    const tab = this;
    this.platform = {
      fetch: (url, options) => world.fetch(this, url, options),
      storage: this.#guarded(storage),
      locks: locks ? world.locks.of(this) : undefined,
      document: {
        ...events,
        get visibilityState() {
          return tab.visibilityState;
        },
      },
      window: events,
      now: () => time.now - this.asleep,
      date: () => EPOCH + time.now + this.skew,
      random: world.random,
      setTimeout: (run, wait) => time.after(wait, alive(run)),
      clearTimeout: (id) => time.cancel(id),
      id: () => `key-${world.keys++}`,
    };
  }

  #guarded(storage) {
    return {
      getItem: (name) => storage.getItem(name),
      setItem: (name, value) => this.dead || storage.setItem(name, value),
      removeItem: (name) => this.dead || storage.removeItem(name),
    };
  }

  listeners(name) {
    return (this.#listeners.get(name) ?? []).length;
  }

  fire(name) {
    for (const run of this.#listeners.get(name) ?? []) run();
  }

  show(visible) {
    this.visibilityState = visible ? "visible" : "hidden";
    this.fire("visibilitychange");
  }

  kill() {
    this.dead = true;
    this.world.locks.release(this);
  }
}

/** The server's time at the world's moment 0. */
export const EPOCH = Date.parse("2026-11-23T12:00:00.000Z");

/** A stream of numbers from 0 to 1 that is the same for the same seed. */
export function numbers(seed) {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) | 0;
    const mixed = Math.imul(state ^ (state >>> 13), 3266489917);
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32;
  };
}

/** What joins tabs, network and service. `fault(request, count)` says what becomes of a request: see `fetch`. */
export class World {
  keys = 1;
  requests = [];
  time = new Time();
  storage = new Storage();
  locks = new Locks();
  delays = [50, 50]; // milliseconds of the way there and back
  fault = () => null;

  constructor(seed = 1) {
    this.random = numbers(seed);
  }

  tab(options) {
    return new Tab(this, options);
  }

  delay(direction) {
    const given = this.delays[direction];
    return typeof given === "function" ? given() : given;
  }

  /**
   * A request on its way. A fault is `lost` (never received), `unanswered` (done, but no answer comes), `late` (as that,
   * but done three seconds later), or an answer in place of the service's.
   */
  fetch(tab, url, { method, headers, body, signal }) {
    const request = { method, url, headers, body: body && JSON.parse(body), at: this.time.now, tab };
    this.requests.push(request);
    const fault = this.fault(request, this.requests.length);
    return new Promise((resolve, reject) => {
      const fail = () => reject(new TypeError("fetch failed"));
      signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
      if (signal.aborted) return;
      const there = this.delay(0);
      const back = this.delay(1);
      const answer = (given) => this.time.after(back, () => tab.dead || resolve(response(given)));
      if (fault === "lost") this.time.after(there, fail);
      else if (fault === "late") {
        this.time.after(there, fail);
        this.time.after(there + 3000, () => this.service(request));
      } else if (fault === "unanswered") {
        this.time.after(there, () => {
          this.service(request);
          this.time.after(back, fail);
        });
      } else if (fault) this.time.after(there, () => answer(fault));
      else this.time.after(there, () => answer(this.service(request)));
    });
  }
}

function response({ status, headers = {}, body }) {
  const text = body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body);
  return {
    status,
    ok: status >= 200 && status < 300,
    headers: { get: (name) => headers[name] ?? null },
    text: async () => text,
  };
}

export const problem = (status, code, more = {}, headers = {}) => ({
  status,
  headers,
  body: { type: `/problems/${code}`, title: code, status, code, detail: code, request_id: "r", ...more },
});
