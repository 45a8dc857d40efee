import type { Endpoint, Match } from './endpoint.ts';
import { endpoints } from './index.ts';

/**
 * Prefixes that clients put before an endpoint's path, longest first.
 *
 * OpenAI's `/v1` and none at all; Azure's `/openai/v1` and `/openai`; Foundry's `/models`; and what clients make of a base URL
 * that already holds a part of the path (Roo Code posts to `/v1/v1/…`, older Azure SDKs to `/openai/openai/…`).
 */
const prefixes = [
  '/openai/openai/v1',
  '/openai/v1/openai/v1',
  '/openai/openai',
  '/openai/v1/v1',
  '/openai/v1',
  '/v1/openai/v1',
  '/v1/openai',
  '/v1/v1',
  '/openai',
  '/models',
  '/v1',
  '',
] as const;

/**
 * `…/deployments/{model}/…` as Azure and its SDKs write it, also after a base URL that holds a prefix, and OpenAI's old
 * `/engines/{model}/…`.
 */
const modelPath =
  /^(?:\/v1|\/openai|\/openai\/v1)?(?:\/openai(?:\/v1)?)?\/(?:deployments|engines)\/(.+)$/;

/** A model's name may hold slashes (`azure/gpt-4o`), and SDKs do not encode them. */
const maxNameSegments = 8;

/** The operation after the query: the Continue extension appends it there. */
// No question mark in the value either: where each of many beginnings reads on to the end, the time is quadratic.
const strayOperation = /[?&]api-version=[^/&?]*(\/[a-z/_]+)/;

type PathTable = ReadonlyMap<string, ReadonlyMap<string, Endpoint>>;

const exact: PathTable = tableOf(endpoints.filter(({ path }) => !path.includes(':')));
const withId: PathTable = tableOf(endpoints.filter(({ path }) => path.includes(':')));

function tableOf(rows: readonly Endpoint[]): PathTable {
  const table = new Map<string, Map<string, Endpoint>>();
  for (const row of rows) {
    const methods = table.get(row.path) ?? new Map<string, Endpoint>();
    table.set(row.path, methods.set(row.method, row));
  }
  return table;
}

export type Lookup =
  | { kind: 'found'; match: Match }
  | { kind: 'wrong-method'; allowed: readonly string[] }
  | { kind: 'unknown' };

const unknown: Lookup = { kind: 'unknown' };

/**
 * The path in the one form that look-ups use: no query, no doubled or trailing slashes.
 *
 * @returns undefined for paths that try to be something else: dot segments, backslashes, encoded separators, control characters
 */
export function canonicalPath(url: string): string | undefined {
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  if (!path.startsWith('/')) return undefined;
  // oxlint-disable-next-line no-control-regex -- control characters are what a path must not hold
  if (/\\|%2f|%5c|%00|%2e|[\u0000-\u0020\u007f]/i.test(path)) return undefined;
  if (/\/\.{1,2}(?:\/|$)/.test(path)) return undefined;
  return withoutStraySlashes(path);
}

/** @param path - without a query. Clients put theirs behind a base URL that ends in a slash, or end it in one */
export function withoutStraySlashes(path: string): string {
  const single = path.includes('//') ? path.replace(/\/{2,}/g, '/') : path;
  return single.length > 1 && single.endsWith('/') ? single.slice(0, -1) : single;
}

/** By method and target: two maps rather than one of joined names, which would be put together and hashed for every request. */
const remembered = new Map<string, Map<string, Lookup>>();
/** Paths with ids in them come once; those without are few. */
const maxRemembered = 500;

/** The same as `findEndpoint`, from memory for what was asked before. */
export function rememberedEndpoint(method: string, url: string): Lookup {
  const known = remembered.get(method)?.get(url);
  if (known !== undefined) return known;
  const lookup = findEndpoint(method, url);
  if (lookup.kind !== 'found' || lookup.match.id !== undefined) return lookup;
  const ofMethod = remembered.get(method) ?? new Map<string, Lookup>();
  remembered.set(method, ofMethod);
  if (ofMethod.size >= maxRemembered) ofMethod.clear();
  ofMethod.set(url, lookup);
  return lookup;
}

/**
 * Finds the endpoint for a request in any spelling that real clients produce.
 *
 * @param method - HTTP method in upper case
 * @param url - the request target as it came, with its query
 */
export function findEndpoint(method: string, url: string): Lookup {
  const path = canonicalPath(url);
  if (path === undefined) return unknown;
  const named = modelPath.exec(path);
  if (named !== null) {
    const found = lookUpModel(method, named[1] ?? '');
    if (found.kind !== 'unknown') return found;
    const stray = strayOperation.exec(decodeQuery(url));
    return stray === null ? unknown : lookUpModel(method, `${named[1] ?? ''}${stray[1] ?? ''}`);
  }
  for (const prefix of prefixes) {
    if (!path.startsWith(prefix)) continue;
    const found = lookUp(method, path.slice(prefix.length), undefined);
    if (found.kind !== 'unknown') return found;
  }
  return unknown;
}

/** @param rest - the model's name and the endpoint's path behind it */
function lookUpModel(method: string, rest: string): Lookup {
  let slash = rest.indexOf('/');
  for (let count = 0; slash !== -1 && count < maxNameSegments; count += 1) {
    const model = decodeSegment(rest.slice(0, slash));
    const found = model === undefined ? unknown : lookUp(method, rest.slice(slash), model);
    if (found.kind !== 'unknown') return found;
    slash = rest.indexOf('/', slash + 1);
  }
  return unknown;
}

function lookUp(method: string, path: string, model: string | undefined): Lookup {
  const plain = exact.get(path);
  const fixed = plain?.get(method);
  if (fixed !== undefined)
    return { kind: 'found', match: { endpoint: fixed, model, id: undefined } };
  const segments = path.split('/');
  const id = segments[2];
  if (id !== undefined && id !== '') {
    const pattern = `/${segments[1] ?? ''}/:id${segments.length > 3 ? `/${segments.slice(3).join('/')}` : ''}`;
    const methods = withId.get(pattern);
    const endpoint = methods?.get(method);
    if (endpoint !== undefined) {
      const decoded = decodeSegment(id);
      if (decoded === undefined) return unknown;
      return { kind: 'found', match: { endpoint, model, id: decoded } };
    }
    if (methods !== undefined && plain === undefined) {
      return { kind: 'wrong-method', allowed: [...methods.keys()] };
    }
  }
  return plain === undefined ? unknown : { kind: 'wrong-method', allowed: [...plain.keys()] };
}

function decodeSegment(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

function decodeQuery(url: string): string {
  const query = url.indexOf('?');
  if (query === -1) return '';
  return decodeSegment(url.slice(query)) ?? '';
}
