import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import type { Replaced } from '../http/view.ts';
import { isSecretParam } from '../models/secrets.ts';

/** What stood in changed entities before and stands in them now, by `<kind>/<id>`: the members that differ, without secrets. */
export function auditStates(replaced: readonly Replaced[]): {
  before: JsonObject | null;
  after: JsonObject | null;
} {
  const before: JsonObject = {};
  const after: JsonObject = {};
  for (const change of replaced) {
    const place = `${change.kind}/${change.id}`;
    const old = change.before === undefined ? undefined : withoutSecrets(change.before);
    const next = change.after === undefined ? undefined : withoutSecrets(change.after);
    const names = Object.keys({ ...old, ...next }).filter(
      (name) => JSON.stringify(old?.[name]) !== JSON.stringify(next?.[name]),
    );
    if (old !== undefined) before[place] = pick(old, names);
    if (next !== undefined) after[place] = pick(next, names);
  }
  return {
    before: Object.keys(before).length > 0 ? before : null,
    after: Object.keys(after).length > 0 ? after : null,
  };
}

/** Hashes of keys and secrets of upstreams are left out wherever they stand. */
function withoutSecrets(document: object): JsonObject {
  return mask(document as JsonObject) as JsonObject;
}

function mask(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(mask);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'hash')
      .map(([name, member]) => [
        name,
        name === 'credential_values' || (isSecretParam(name) && member !== null)
          ? '****'
          : mask(member),
      ]),
  );
}

function pick(document: JsonObject, names: readonly string[]): JsonObject {
  const picked: JsonObject = {};
  for (const name of names) {
    const value = document[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}
