import fc from 'fast-check';

/**
 * Any JSON value whose names have no backslash. Before Node 26.12, of which there is no package for every system yet, a name with an
 * escape is taken for a name with a backslash that was read before in the same place (https://github.com/nodejs/node/issues/63785), so
 * that two readings of one text may differ.
 */
export function anyJson(constraints: fc.JsonSharedConstraints = {}): fc.Arbitrary<fc.JsonValue> {
  return fc.jsonValue(constraints).map(withoutBackslashes);
}

/** A name of {@link anyJson}. */
export function withoutBackslash(name: string): string {
  return name.replaceAll('\\', '/');
}

function withoutBackslashes(value: fc.JsonValue): fc.JsonValue {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutBackslashes);
  const members = Object.entries(value as Record<string, fc.JsonValue>);
  return Object.fromEntries(
    members.map(([name, inner]) => [withoutBackslash(name), withoutBackslashes(inner)]),
  );
}
