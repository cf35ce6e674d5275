// The server's time on the visitor's machine.

const DRIFT = 1e-4; // by how much a quartz may run wrong, at worst
const KEPT = 8; // samples
const JUMP = 250; // milliseconds: some browsers round both clocks to 100

/**
 * Server time from answers that carry it. Each gives the server's time at some moment between `sentAt` and
 * `receivedAt`; the middle is wrong by half of the round trip at most, so the shortest round trip is believed. Between
 * answers performance.now() ticks: the visitor's clock may be wrong, and may be set at any time.
 */
export function createClock(platform) {
  let samples = [];
  let gap = 0; // between Date.now() and performance.now()

  const error = (sample) => sample.trip / 2 + (platform.now() - sample.receivedAt) * DRIFT;
  // performance.now() may stand still while the machine sleeps. The visitor's clock then has jumped ahead of it.
  const hasMoved = (since) => Math.abs(platform.date() - platform.now() - since) > JUMP;
  const jumped = () => hasMoved(gap);
  const best = () => samples.reduce((one, other) => (error(other) < error(one) ? other : one));

  return {
    /** Milliseconds since 1970 by the server's clock, or null before the first answer. */
    now: () => (samples.length ? best().offset + platform.now() : null),
    /** By how many milliseconds `now` may be wrong at most. */
    error: () => (samples.length ? error(best()) : Infinity),
    /** Whether another answer is needed soon. */
    isStale: () => samples.length < 3 || jumped(),
    jumped: () => samples.length > 0 && jumped(),
    /** Takes the time that an answer gave. False where it gave none, or the machine slept while it was on its way. */
    add(time, { sentAt, sentOn, receivedAt }) {
      const serverTime = Date.parse(time);
      if (!serverTime || hasMoved(sentOn - sentAt)) return false;
      if (jumped()) samples = [];
      gap = platform.date() - platform.now();
      const trip = receivedAt - sentAt;
      samples = [...samples.slice(1 - KEPT), { offset: serverTime - (sentAt + receivedAt) / 2, trip, receivedAt }];
      return true;
    },
  };
}
