import type { KeyRecord } from './records.ts';

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

/** A key whose policy is the object of every other key with the same one. */
export function withSharedPolicy(
  record: KeyRecord,
  share: ReturnType<typeof createSharing>,
): KeyRecord {
  return {
    ...record,
    models: share(record.models),
    aliases: share(record.aliases),
    routes: share(record.routes),
    scopes: record.scopes.map((scope) => ({ ...scope, limits: share(scope.limits) })),
    modelLimits: share(record.modelLimits),
    tags: share(record.tags),
    regions: share(record.regions),
  };
}
