import { isObject } from '@aigateway/contract/json';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import type { AnswerTagger, TaggedKind } from './affinity.ts';

/** Stands in for the objects of an event that only says more about a known item: most events of a stream. */
const objectKeys = ['"response"', '"item"', '"items"', '"output"', '"data"', '"encrypted_content"'];

/**
 * An escaped quote before the name would make it part of a text; a text's own quotes are escaped, so that nothing a model
 * says looks like this.
 */
const idOfEvent = /(?<!\\)"(item_id|response_id)"(\s*:\s*)"([^"\\]+)"/g;

/**
 * Tags the ids and encrypted blobs in an answer of the Responses API.
 *
 * @param text - the JSON text of a whole answer, of a list of items, or of the data of one streamed event
 * @returns the same bytes but for what is tagged; the given text when nothing is
 */
export function wrapResponseText(text: string, tagger: AnswerTagger): string {
  if (!tagger.stored && !text.includes('"encrypted_content"')) return text;
  if (!objectKeys.some((key) => text.includes(key)) && text.includes('"item_id"')) {
    return text.replace(idOfEvent, (_, name: string, colon: string, id: string) => {
      const kind = name === 'item_id' ? 'item' : 'response';
      return `"${name}"${colon}"${tagger.wrap(kind, id)}"`;
    });
  }
  const body = parseObject(text);
  if (body === undefined) return text;
  const replacements = new Map<string, string>();
  visitState(body, (_holder, _name, kind, original) => {
    if (isTagged(kind, tagger)) replacements.set(original, tagger.wrap(kind, original));
  });
  let result = text;
  for (const [original, wrapped] of replacements) {
    const token = `"${original}"`;
    // A short or escaped id could be mistaken for something else in the text.
    if (!isUnmistakable(original) || !text.includes(token)) {
      wrapResponse(body, tagger);
      return JSON.stringify(body);
    }
    result = result.replaceAll(token, () => `"${wrapped}"`);
  }
  return result;
}

/** The same for a parsed answer or event, in place. */
export function wrapResponse(body: JsonObject, tagger: AnswerTagger): void {
  visitState(body, (holder, name, kind, original) => {
    if (isTagged(kind, tagger)) holder[name] = tagger.wrap(kind, original);
  });
}

type Visit = (holder: JsonObject, name: string, kind: TaggedKind, original: string) => void;

/** Calls `visit` for every known place of an id or blob. Nothing else of an answer is looked at. */
function visitState(body: JsonObject, visit: Visit): void {
  const { response, item, output, data, items } = body;
  if (isObject(response)) visitState(response, visit);
  if (isObject(item)) visitItem(item, visit);
  for (const list of [output, data, items]) {
    if (!Array.isArray(list)) continue;
    for (const element of list) if (isObject(element)) visitItem(element, visit);
  }
  visitText(body, 'item_id', 'item', visit);
  visitText(body, 'first_id', 'item', visit);
  visitText(body, 'last_id', 'item', visit);
  visitText(body, 'response_id', 'response', visit);
  visitText(body, 'previous_response_id', 'response', visit);
  if (isResponse(body)) visitText(body, 'id', 'response', visit);
  const { conversation } = body;
  if (isObject(conversation)) visitText(conversation, 'id', 'conversation', visit);
}

function visitItem(item: JsonObject, visit: Visit): void {
  visitText(item, 'id', 'item', visit);
  visitText(item, 'approval_request_id', 'item', visit);
  visitText(item, 'encrypted_content', 'encrypted', visit);
}

function visitText(holder: JsonObject, name: string, kind: TaggedKind, visit: Visit): void {
  const value = holder[name];
  if (typeof value === 'string' && value !== '') visit(holder, name, kind, value);
}

/** `response`, `response.deleted`, `response.compaction`; some upstreams leave the word out. */
function isResponse(body: JsonObject): boolean {
  const { object, id } = body;
  if (typeof object === 'string') return object === 'response' || object.startsWith('response.');
  return typeof id === 'string' && id.startsWith('resp_');
}

function isTagged(kind: TaggedKind, tagger: AnswerTagger): boolean {
  return tagger.stored || kind === 'encrypted';
}

function isUnmistakable(original: string): boolean {
  return /^[\w.~+/=:-]{8,}$/.test(original) && /[\d_]/.test(original);
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as JsonValue;
    return isObject(value) ? value : undefined;
  } catch {
    // Whatever this is, it holds no id of ours to protect; the caller gets what the upstream said.
    return undefined;
  }
}
