/**
 * Makes one object of equal ones. Thousands of keys have a handful of policies between them: shared, a key takes half the memory.
 *
 * @returns what gives the same object for every value that is the same JSON; nobody may change it from then on
 */
export function createSharing(): <Value extends object>(value: Value) => Value {
  const known = new Map<string, object>();
  return <Value extends object>(value: Value): Value => {
    const text = JSON.stringify(value);
    const same = known.get(text);
    if (same !== undefined) return same as Value;
    known.set(text, value);
    return value;
  };
}
