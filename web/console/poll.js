// Polls in one chain: the next request begins after the answer to the last. Stops in hidden tabs, waits as long as
// `Retry-After` says, and ever longer while nothing answers.

const LONGEST_MS = 30_000;

/** Milliseconds until the next request: after an answer `every`, after the `failures`-th failure in a row more. */
export function pause(every, failures, retryAfter = null, random = Math.random) {
  if (!failures) return every;
  const backOff = Math.min(LONGEST_MS, every * 2 ** Math.min(failures, 10)) * (0.7 + 0.6 * random());
  return Math.max(backOff, (retryAfter ?? 0) * 1000);
}

/**
 * Begin to call `load(signal)` every `every` ms. `onError(error, wait)` is called at failures, with the ms until the
 * next try. Returns what ends it, and `now()`, which polls at once.
 */
export function startPoll({ load, every, onError = () => {}, page = document, timers = globalThis }) {
  let timer = null;
  let running = null;
  let failures = 0;
  let ended = false;

  const plan = (wait) => {
    timers.clearTimeout(timer);
    timer = page.hidden || ended ? null : timers.setTimeout(turn, wait);
  };
  const turn = async () => {
    timer = null;
    if (running || ended) return;
    running = new AbortController();
    let wait = every;
    try {
      await load(running.signal);
      failures = 0;
    } catch (error) {
      failures += 1;
      wait = pause(every, failures, error.retryAfter);
      if (!ended) onError(error, wait);
    }
    running = null;
    if (!ended) plan(wait);
  };
  const seen = () => {
    if (page.hidden) timers.clearTimeout(timer);
    else if (!running) plan(0);
  };

  page.addEventListener("visibilitychange", seen);
  if (!page.hidden) turn();
  return {
    now: () => (running ? undefined : plan(0)),
    end() {
      ended = true;
      running?.abort();
      timers.clearTimeout(timer);
      page.removeEventListener("visibilitychange", seen);
    },
  };
}
