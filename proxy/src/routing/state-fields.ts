import { isObject } from '@aigateway/contract/json';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { tagMarker, type IdTagger, type TaggedKind } from './affinity.ts';

/**
 * Where a Responses request refers to state that lives in one resource, and what each place is worth:
 *
 * - `previous_response_id`, `conversation` and `item_reference` are references: without the object the request is another
 *   one. A tag of somebody else, or none, is refused.
 * - The `id` of a whole item repeats what the item itself says. Clients make up such ids (for developer messages, or with
 *   `store: false`), so an untagged one is passed on; a foreign one is removed.
 * - `encrypted_content` can be read by its home only. Untagged it is passed on (it may be older than this gateway); a foreign
 *   one is removed with its item.
 * - `approval_request_id` names an item of an MCP call and follows the rules of an item's id.
 */
export type UnwrappedRequest = {
  /** The request as its home understands it; the given object when nothing had to change. */
  body: JsonObject;
  /** The resource that holds the state: none or one. A history of several homes keeps the latest, see `stripped`. */
  homes: ReadonlySet<string>;
  /** Names of the references that belong to somebody else or are forged. */
  foreign: readonly string[];
  /** Names of the references without a tag: made elsewhere, unknown here. */
  untagged: readonly string[];
  /** Kinds of what was left out because its home is another one: see `stripForeign`. */
  stripped: readonly string[];
  changed: boolean;
};

/** False when a request can hold no reference to state, found without parsing it. */
export function mayReferToState(body: Buffer | string): boolean {
  return (
    body.includes(tagMarker) ||
    body.includes('"previous_response_id"') ||
    body.includes('"item_reference"') ||
    body.includes('"conversation"')
  );
}

/**
 * Leads every reference of a Responses request back to the upstream's own ids. The body is not changed but copied where needed.
 *
 * A conversation that once failed over has parts of several homes. Only one of them can answer: that of a
 * `previous_response_id` or `conversation`, else that of the latest item. Parts of others are stripped.
 */
export function unwrapRequest(
  body: JsonObject,
  tagger: IdTagger,
  ownerId: string,
): UnwrappedRequest {
  const foreign: string[] = [];
  const untagged: string[] = [];
  const stripped = new Set<string>();
  const changes: JsonObject = {};
  let home: string | undefined;

  const follow = (name: string, id: string, kind: TaggedKind): string => {
    const read = tagger.unwrap(id, ownerId);
    if (read === 'untagged') untagged.push(name);
    else if (read === 'foreign' || read.kind !== kind) foreign.push(name);
    else {
      home ??= read.resourceId;
      return read.original;
    }
    return id;
  };

  const { previous_response_id: previous, conversation, input } = body;
  if (typeof previous === 'string') {
    const id = follow('previous_response_id', previous, 'response');
    if (id !== previous) changes['previous_response_id'] = id;
  }
  const conversationId = isObject(conversation) ? conversation['id'] : conversation;
  if (typeof conversationId === 'string') {
    const id = follow('conversation', conversationId, 'conversation');
    if (id !== conversationId) {
      changes['conversation'] = isObject(conversation) ? { ...conversation, id } : id;
    }
  }
  if (Array.isArray(input)) {
    const items = input.map((item) => readItem(item, tagger, ownerId));
    home ??= items.findLast((item) => item.home !== undefined)?.home;
    for (const item of items) {
      if (!item.isReference) continue;
      if (item.isForeign) foreign.push('item_reference');
      else if (item.home === undefined) untagged.push('item_reference');
    }
    const isElsewhere = (item: ReadItem): boolean =>
      item.isForeign || item.homes.some((itemHome) => itemHome !== home);
    const kept = items.map((item): KeptItem =>
      isElsewhere(item)
        ? { item: stripItem(item.unwrapped, stripped), isAnchored: false }
        : { item: item.unwrapped, isAnchored: item.home !== undefined },
    );
    const isContinued = typeof previous === 'string' || !isAbsent(conversation);
    if (stripped.size > 0) changes['input'] = keepPairs(kept, isContinued, stripped);
    else if (items.some((item) => item.unwrapped !== item.original)) {
      changes['input'] = items.map((item) => item.unwrapped);
    }
  }
  const changed = Object.keys(changes).length > 0;
  return {
    body: changed ? { ...body, ...changes } : body,
    homes: new Set(home === undefined ? [] : [home]),
    foreign,
    untagged,
    stripped: [...stripped],
    changed,
  };
}

export type StrippedRequest = {
  body: JsonObject;
  /** Kinds of what was taken out, e.g. `previous_response_id`, `reasoning`, `id`; fit for a header. */
  stripped: readonly string[];
  /** False when nothing is left to answer to: trying elsewhere would be pointless. */
  usable: boolean;
};

/**
 * Takes out of a Responses request what only its lost home could have understood, so that another resource can answer it.
 *
 * Messages and calls of the client's own functions keep their content and lose their ids; calls and their outputs stay pairs.
 * References, reasoning, compactions and calls of hosted tools go: what they stood for is lost with their home.
 */
export function stripForeign(body: JsonObject): StrippedRequest {
  const stripped = new Set<string>();
  const result: JsonObject = { ...body };
  for (const name of ['previous_response_id', 'conversation']) {
    if (isAbsent(result[name])) continue;
    delete result[name];
    stripped.add(name);
  }
  const { input } = body;
  if (Array.isArray(input)) {
    const kept = input.map((item) => ({ item: stripItem(item, stripped), isAnchored: false }));
    if (stripped.size > 0) result['input'] = keepPairs(kept, false, stripped);
  }
  const left = result['input'];
  const usable = Array.isArray(left) ? left.length > 0 : typeof left === 'string' && left !== '';
  return { body: result, stripped: [...stripped], usable };
}

type ReadItem = {
  original: JsonValue;
  unwrapped: JsonValue;
  isReference: boolean;
  isForeign: boolean;
  /** The home that speaks for the item: of its encrypted content, else of its id. */
  home: string | undefined;
  homes: readonly string[];
};

/**
 * Fields of an item and what their tags must name. A tag of another kind is as good as a forged one: answers repeat items whose
 * ids callers made up, and such an id must not come back as that of a response.
 */
const itemFields: readonly (readonly [string, TaggedKind])[] = [
  ['encrypted_content', 'encrypted'],
  ['id', 'item'],
  ['approval_request_id', 'item'],
];

function readItem(item: JsonValue, tagger: IdTagger, ownerId: string): ReadItem {
  const result: ReadItem = {
    original: item,
    unwrapped: item,
    isReference: false,
    isForeign: false,
    home: undefined,
    homes: [],
  };
  if (!isObject(item)) return result;
  result.isReference = isItemReference(item);
  for (const [name, kind] of itemFields) {
    const value = item[name];
    if (typeof value !== 'string' || value === '') continue;
    const read = tagger.unwrap(value, ownerId);
    if (read === 'untagged') continue;
    if (read === 'foreign' || read.kind !== kind) {
      result.isForeign = true;
      continue;
    }
    result.home ??= read.resourceId;
    result.homes = [...result.homes, read.resourceId];
    result.unwrapped = { ...(result.unwrapped as JsonObject), [name]: read.original };
  }
  return result;
}

/** `type` may be absent or null on a reference, which then has an id and nothing of a message. */
function isItemReference(item: JsonObject): boolean {
  if (item['type'] === 'item_reference') return true;
  return isAbsent(item['type']) && typeof item['id'] === 'string' && item['role'] === undefined;
}

/** Items that say nothing without their home: blobs that it alone can read, and work that its tools did. */
const boundToHome: ReadonlySet<string> = new Set([
  'item_reference',
  'reasoning',
  'compaction',
  'compaction_summary',
  'context_compaction',
  'web_search_call',
  'file_search_call',
  'code_interpreter_call',
  'image_generation_call',
  'mcp_call',
  'mcp_list_tools',
  'mcp_approval_request',
  'mcp_approval_response',
]);

/** Items whose schema demands the id. It is harmless there: the item is whole. */
const needsId: ReadonlySet<string> = new Set([
  'computer_call',
  'local_shell_call',
  'local_shell_call_output',
]);

/** What is left of an item without its home; undefined = nothing. */
function stripItem(item: JsonValue, stripped: Set<string>): JsonValue | undefined {
  if (!isObject(item)) return item;
  const type = isItemReference(item) ? 'item_reference' : item['type'];
  if (typeof type === 'string' && boundToHome.has(type)) {
    stripped.add(type);
    return undefined;
  }
  if (typeof item['encrypted_content'] === 'string') {
    stripped.add('encrypted_content');
    return undefined;
  }
  const { id, ...rest } = item;
  if (id === undefined || (typeof type === 'string' && needsId.has(type))) return item;
  stripped.add('id');
  return rest;
}

type KeptItem = {
  /** Undefined = the item is gone. */
  item: JsonValue | undefined;
  /** The request's home knows the item and what belongs to it. */
  isAnchored: boolean;
};

/**
 * The items that are left, without calls or outputs that lost their other half: upstreams refuse those. An item with a
 * `call_id` is an output if its type says so, else a call. The other half may also be known to the home: that is so after an
 * anchored item, until the next one that is gone.
 *
 * @param isContinued - the home knows what came before the first item
 */
function keepPairs(
  kept: readonly KeptItem[],
  isContinued: boolean,
  stripped: Set<string>,
): JsonValue[] {
  const calls = new Set<string>();
  const outputs = new Set<string>();
  for (const { item } of kept) {
    const callId = callIdOf(item);
    if (callId !== undefined) (isOutput(item) ? outputs : calls).add(callId);
  }
  const left: JsonValue[] = [];
  let isKnownToHome = isContinued;
  for (const { item, isAnchored } of kept) {
    if (item === undefined) {
      isKnownToHome = false;
      continue;
    }
    if (isAnchored) isKnownToHome = true;
    const callId = callIdOf(item);
    const isPaired = callId === undefined || (isOutput(item) ? calls : outputs).has(callId);
    if (isPaired || isKnownToHome) left.push(item);
    else stripped.add(isOutput(item) ? 'call_output' : 'call');
  }
  return left;
}

function callIdOf(item: JsonValue | undefined): string | undefined {
  return isObject(item) && typeof item['call_id'] === 'string' ? item['call_id'] : undefined;
}

function isOutput(item: JsonValue | undefined): boolean {
  return isObject(item) && typeof item['type'] === 'string' && item['type'].endsWith('_output');
}

function isAbsent(value: JsonValue | undefined): boolean {
  return value === undefined || value === null;
}
