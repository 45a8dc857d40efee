import type { DeploymentRecord, JsonObject } from '@aigateway/contract/records';
import { expandSummaries, summaryMarker } from '../bridge/summary.ts';
import { GatewayError } from '../errors.ts';
import type { IdTagger } from '../routing/affinity.ts';
import { mayReferToState, stripForeign, unwrapRequest } from '../routing/state-fields.ts';
import { wrapResponseText } from '../routing/state-response.ts';
import { memberValue } from './body.ts';
import { parseCallBody } from './prepare.ts';
import type { Call } from './read.ts';

/** A Responses request in the words of its upstream: its references are led back to the resource they live in. */
export type StatefulBody = {
  /** The body as its home understands it; absent where the request has none. */
  readonly body: JsonObject | undefined;
  /** What the caller wrote: its ids as the caller has them. */
  readonly written: Buffer;
  /** The resource that must answer; empty once its state has been taken out. */
  readonly homes: ReadonlySet<string>;
  /** Its state has been taken out. */
  readonly stripped: boolean;
  /** What was changed, for the response header. */
  readonly changes: readonly string[];
};

/**
 * Finds the resource that a Responses request refers to. The gateway's own compactions refer to none: they become messages.
 *
 * @returns undefined when there is nothing to translate: its bytes then stay as they are
 * @throws GatewayError 404 for a reference that is somebody else's or was not made by this gateway, in the same words
 */
export function readState(call: Call, tagger: IdTagger, ownerId: string): StatefulBody | undefined {
  if (call.operation.name !== 'responses') return undefined;
  const mayHoldSummary = call.body.includes(summaryMarker);
  if (!mayHoldSummary && !mayReferToState(call.body)) return undefined;
  const written = parseCallBody(call);
  const expanded = mayHoldSummary ? expandSummaries(written) : undefined;
  const body = expanded ?? written;
  const read = unwrapRequest(body, tagger, ownerId);
  const [refused] = [...read.foreign, ...read.untagged];
  if (refused !== undefined) {
    const id = body[refused];
    throw new GatewayError('object_not_found', {
      param: refused === 'item_reference' ? 'input' : refused,
      values: {
        kind:
          refused === 'item_reference'
            ? 'item'
            : refused === 'conversation'
              ? 'conversation'
              : 'response',
        id: typeof id === 'string' ? id.slice(0, 80) : refused,
      },
    });
  }
  if (!read.changed && expanded === undefined) return undefined;
  return {
    body: read.body,
    written: call.body,
    homes: read.homes,
    stripped: false,
    changes: [
      ...(expanded === undefined ? [] : ['compaction>message']),
      ...read.stripped.map((name) => `-${name}`),
    ],
  };
}

/**
 * Takes out what only the home of the state could understand, so that another resource can answer. Done once per request.
 *
 * @returns undefined when there is nothing to take out, or nothing would be left to answer
 */
export function stripState(
  call: Call,
  stateful: StatefulBody | undefined,
): StatefulBody | undefined {
  if (call.operation.name !== 'responses' || call.match.endpoint.kind === 'stored')
    return undefined;
  if (stateful?.stripped === true) return undefined;
  const { body, stripped, usable } = stripForeign(stateful?.body ?? parseCallBody(call));
  if (!usable || stripped.length === 0) return undefined;
  return {
    body,
    written: call.body,
    homes: new Set(),
    stripped: true,
    changes: [...(stateful?.changes ?? []), ...stripped.map((name) => `-${name}`)],
  };
}

/** What a conversation can do without: its words stay, what the model thought of them it thinks again. */
const thoughts: ReadonlySet<string> = new Set(['-reasoning', '-id']);

/** The same where nothing else than thoughts is lost by it. */
export function stripThoughts(
  call: Call,
  stateful: StatefulBody | undefined,
): StatefulBody | undefined {
  const stripped = stripState(call, stateful);
  const known = stateful?.changes.length ?? 0;
  const isWhole = stripped?.changes.slice(known).every((change) => thoughts.has(change));
  return isWhole === true ? stripped : undefined;
}

/** Longer texts quote more of a request than its ids. */
const maxQuoteLength = 2000;

/** So many ids of a text are looked for in the request, which may be large. */
const maxQuotedIds = 4;

/** How an upstream's id looks in a text. */
const upstreamId = /\b[a-z]{1,16}_(\w{8,128})/g;

/** A tag adds 18 characters to the length of the resource's id, which has 63 at most; a prefix has 17. */
const maxTagLength = 98;

/** An upstream's words about the objects that a request refers to, with their ids as the caller gave them. */
export function inCallersIds(
  text: string,
  { written }: StatefulBody,
  tagger: IdTagger,
  ownerId: string,
): string {
  if (text.length > maxQuoteLength) return text;
  let looks = 0;
  return text.replace(upstreamId, (original, rest: string) => {
    if (looks === maxQuotedIds) return original;
    looks += 1;
    const at = written.indexOf(rest);
    if (at === -1) return original;
    const before = written.toString('latin1', Math.max(0, at - maxTagLength), at + rest.length);
    const [given] = /[\w-]+$/.exec(before) ?? [original];
    const read = tagger.unwrap(given, ownerId);
    return typeof read === 'object' && read.original === original ? given : original;
  });
}

/** Puts the home into the ids of an answer, where they will be of use to come back to it. */
export type ResponseRewrite = {
  /** Every event of a stream has ids to tag; otherwise only encrypted content is. */
  readonly every: boolean;
  apply(text: string): string;
};

/** @returns undefined for operations without state */
export function responseRewrite(
  call: Call,
  ownerId: string,
  record: DeploymentRecord,
  tagger: IdTagger,
): ResponseRewrite | undefined {
  if (call.operation.name !== 'responses') return undefined;
  const isStored =
    call.match.endpoint.kind === 'stored' || memberValue(call.body, call.scan, 'store') !== false;
  const answerTagger = tagger.forAnswer({
    resourceId: record.resource.id,
    ownerId,
    stored: isStored,
  });
  return { every: isStored, apply: (text) => wrapResponseText(text, answerTagger) };
}
