import { isObject } from '@aigateway/contract/json';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';

/**
 * One change to a request body so that a deployment takes it. `param` is a path of names joined by dots; `[]` after a name
 * stands for every element of that array, e.g. `messages[].content[].cache_control`.
 *
 * - `drop`: the parameter is removed
 * - `rename`: its value moves to the sibling named `to`, unless that is set already
 * - `default-only`: it is removed unless it has the model's default anyway
 * - `replace`: only the value `from` is refused; it becomes `to`, or is removed without one
 */
export type Repair =
  | { readonly param: string; readonly action: 'drop' }
  | { readonly param: string; readonly action: 'rename'; readonly to: string }
  | {
      readonly param: string;
      readonly action: 'default-only';
      readonly default?: JsonValue;
      /** Reasoning models take sampling parameters while their effort is `none`. */
      readonly unlessReasoningOff?: boolean;
    }
  | {
      readonly param: string;
      readonly action: 'replace';
      readonly from: JsonValue;
      readonly to?: JsonValue;
    };

/**
 * Makes the changes that the body needs, in place at its top level; nested values are copied where they change, so a caller
 * that keeps the original needs a shallow copy only.
 *
 * @returns a short ASCII name for every change that was made, e.g. `max_tokens>max_completion_tokens` or `-temperature`
 */
export function applyRepairs(body: JsonObject, repairs: readonly Repair[]): string[] {
  const changes: string[] = [];
  for (const repair of repairs) {
    if (repair.action === 'default-only' && repair.unlessReasoningOff && isReasoningOff(body))
      continue;
    const path = parsePath(repair.param);
    const [name] = path;
    if (name === undefined || !Object.hasOwn(body, name)) continue;
    const changed = path.length === 1 ? repaired(body, name, repair) : edited(body, path, repair);
    if (changed === body) continue;
    if (!Object.hasOwn(changed, name)) delete body[name];
    Object.assign(body, changed);
    changes.push(nameOfChange(repair));
  }
  return changes;
}

/**
 * False when none of the repairs can concern a body, found without parsing it. A parameter at the top level is known from the
 * members; a deeper one is a key somewhere below its member, in quotes unless somebody escaped its letters, which no client does.
 *
 * @param text - the body, its bytes as characters
 * @param members - the body's top level, by name
 */
export function mayNeedRepairs(
  text: string,
  members: ReadonlyMap<string, unknown>,
  repairs: readonly Repair[],
): boolean {
  const { topLevel, deeper } = searchFor(repairs);
  if (topLevel.size > 0) for (const name of members.keys()) if (topLevel.has(name)) return true;
  for (const [member, keys] of deeper) {
    if (members.has(member) && keys.test(text)) return true;
  }
  return false;
}

/** What to look for in a body: names of its top level, and per member the keys below it. */
type Search = {
  readonly topLevel: ReadonlySet<string>;
  readonly deeper: ReadonlyMap<string, RegExp>;
};

const searches = new WeakMap<readonly Repair[], Search>();

/** Made once for each list. One pattern for all keys: a search for each by itself takes ten times as long in source code. */
function searchFor(repairs: readonly Repair[]): Search {
  let search = searches.get(repairs);
  if (search !== undefined) return search;
  const topLevel = new Set<string>();
  const keys = new Map<string, Set<string>>();
  for (const { param } of repairs) {
    const [member = param, ...rest] = parsePath(param);
    const key = rest.findLast((segment) => segment !== '[]');
    if (rest.length === 0) topLevel.add(member);
    else if (key !== undefined)
      keys.set(member, (keys.get(member) ?? new Set()).add(RegExp.escape(latin1Of(key))));
  }
  const deeper = [...keys].map(
    ([member, names]) => [member, new RegExp(`(?:${[...names].join('|')})\\s*:`)] as const,
  );
  search = { topLevel, deeper: new Map(deeper) };
  searches.set(repairs, search);
  return search;
}

/** A key as JSON writes it, its bytes as characters. */
function latin1Of(key: string): string {
  return Buffer.from(JSON.stringify(key)).toString('latin1');
}

/** Path of a parameter as an upstream names it, with every array index replaced by `[]`. */
export function normalisePath(param: string): string {
  return param.replace(/\.?\[\d*\]/g, '[]').replace(/\.\d+(?=\.|\[|$)/g, '[]');
}

const parsedPaths = new Map<string, readonly string[]>();
/** Paths come from tables and from learned facts, which are bounded; this bound is for the sum over time. */
const maxParsedPaths = 2_000;

/** The names of a path, with `[]` as an element of its own. */
function parsePath(param: string): readonly string[] {
  const known = parsedPaths.get(param);
  if (known !== undefined) return known;
  const path = param
    .replaceAll('[]', '.[]')
    .split('.')
    .filter((segment) => segment !== '');
  if (parsedPaths.size >= maxParsedPaths) parsedPaths.clear();
  parsedPaths.set(param, path);
  return path;
}

function isReasoningOff(body: JsonObject): boolean {
  if (body['reasoning_effort'] === 'none') return true;
  const { reasoning } = body;
  return isObject(reasoning) && reasoning['effort'] === 'none';
}

/** Short ASCII name of a change, as `applyRepairs` gives it. */
export function nameOfChange(repair: Repair): string {
  if (repair.action === 'rename') return `${repair.param}>${repair.to}`;
  if (repair.action === 'replace' && repair.to !== undefined) return `~${repair.param}`;
  return `-${repair.param}`;
}

function edited<Value extends JsonValue>(
  value: Value,
  path: readonly string[],
  repair: Repair,
): Value;
function edited(value: JsonValue, path: readonly string[], repair: Repair): JsonValue {
  const [segment, ...rest] = path;
  if (segment === undefined) return value;
  if (segment === '[]') {
    if (!Array.isArray(value)) return value;
    const elements = value.map((element) => edited(element, rest, repair));
    return elements.some((element, index) => element !== value[index]) ? elements : value;
  }
  if (!isObject(value) || !Object.hasOwn(value, segment)) return value;
  if (rest.length === 0) return repaired(value, segment, repair);
  const child = value[segment];
  if (child === undefined) return value;
  const changed = edited(child, rest, repair);
  return changed === child ? value : { ...value, [segment]: changed };
}

/** The object with one of its members repaired, or the same object when there is nothing to do. */
function repaired(object: JsonObject, name: string, repair: Repair): JsonObject {
  const { [name]: value, ...others } = object;
  if (value === undefined) return object;
  switch (repair.action) {
    case 'drop':
      return others;
    case 'rename':
      return Object.hasOwn(object, repair.to) && object[repair.to] !== null
        ? others
        : { ...others, [repair.to]: value };
    case 'default-only':
      return repair.default !== undefined && value === repair.default ? object : others;
    case 'replace':
      if (value !== repair.from) return object;
      return repair.to === undefined ? others : { ...object, [name]: repair.to };
  }
}
