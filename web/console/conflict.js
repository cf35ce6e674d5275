// What is to be resolved when two people changed the same thing. Pure.

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

/** The fields of `values` that differ from `base`: what a PATCH has to carry. */
export const changedFields = (base, values) =>
  Object.fromEntries(Object.entries(values).filter(([name, value]) => !same(base[name], value)));

/**
 * The fields that `mine` (changed fields), or somebody else since `base`, changed; `theirs` is what is stored now.
 * `conflict` is set where both changed a field to different values: these are for a person to decide.
 */
export function differences(base, mine, theirs, names) {
  return names
    .map((name) => {
      const byMe = name in mine;
      const byThem = !same(base[name], theirs[name]);
      const value = byMe ? mine[name] : base[name];
      const agreed = byMe && byThem && same(mine[name], theirs[name]);
      return { name, base: base[name], mine: value, theirs: theirs[name], byMe, byThem, conflict: byMe && byThem && !agreed };
    })
    .filter((one) => one.byMe || one.byThem);
}

/** The choices to begin with: each side's own changes; nothing is chosen where both changed a field. */
export const firstChoices = (rows) =>
  Object.fromEntries(rows.filter((row) => !row.conflict).map((row) => [row.name, row.byMe ? "mine" : "theirs"]));

/** Whether every conflict is decided. */
export const isResolved = (rows, choices) => rows.every((row) => choices[row.name]);

/** What to send, over what is stored now, for the choices made. */
export const resolved = (rows, choices, theirs) =>
  changedFields(
    theirs,
    Object.fromEntries(rows.filter((row) => choices[row.name] === "mine").map((row) => [row.name, row.mine])),
  );
