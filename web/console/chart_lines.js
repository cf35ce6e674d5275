// The geometry of charts. Pure: values in, numbers and SVG paths out.

/** The least round number of 1, 2 or 5 times a power of ten that is at least `value`; 1 for nothing. */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((one) => one * power >= value * (1 - 1e-9));
  return Number((step * power).toPrecision(12));
}

/** Where an axis from 0 has its marks, and its end: two to five round steps that reach over `highest`. */
export function axis(highest, whole = false) {
  const step = Math.max(roundUp(Math.max(highest, 0) / 4), whole ? 1 : 0);
  const steps = Math.max(1, Math.ceil(highest / step - 1e-9));
  return { max: step * steps, marks: Array.from({ length: steps + 1 }, (_, index) => Number((index * step).toPrecision(12))) };
}

/** The highest value of some series; nulls are no values. */
export const highest = (series) => series.reduce((top, { values }) => values.reduce((most, one) => Math.max(most, one ?? 0), top), 0);

/**
 * The path of a series in a box of `width` by `height`, 0 at its foot and `max` at its top. Nulls are gaps. `step` holds
 * each value until the next, as a stock does.
 */
export function line(values, { width, height, max, step = false }) {
  const across = values.length > 1 ? width / (values.length - 1) : 0;
  const short = (value) => Number(value.toFixed(2));
  let path = "";
  let drawn = false;
  values.forEach((value, index) => {
    if (value === null || value === undefined) {
      drawn = false;
      return;
    }
    const x = short(index * across);
    const y = short(height - (Math.min(value, max) / max) * height);
    path += !drawn ? `M${x} ${y}` : step ? `H${x}V${y}` : `L${x} ${y}`;
    // One value between gaps would be a line of no length, which nobody sees.
    if (!drawn && (values[index + 1] ?? null) === null) path += "h0.01";
    drawn = true;
  });
  return path;
}

/** The same, closed down to the foot, to be filled. Only of series without gaps. */
export const area = (values, box) =>
  values.length && values.every((value) => value !== null) ? `${line(values, box)}V${box.height}H0Z` : "";

/** Which value lies nearest to a share of the width. */
export const indexAt = (share, length) => Math.max(0, Math.min(length - 1, Math.round(share * (length - 1))));
