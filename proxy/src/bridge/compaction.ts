import type { JsonObject } from '@aigateway/contract/records';
import { GatewayError } from '../errors.ts';
import { failureEvents } from '../operations/responses.ts';
import { formatSseEvent } from '../stream/sse.ts';
import type { Bridge, BridgeContext, BridgedRequest, SseEvent, StreamBridge } from './bridge.ts';
import { asNumber, asObject, asObjects, asString, parseObject } from './json.ts';
import { interruption, streamErrorOf, type StreamError } from './stream-error.ts';
import { sealSummary, summaryInstruction } from './summary.ts';

/** Most tokens of a summary. Every chat model can give as many, and near the end of its window there is little room for more. */
const summaryTokens = 4096;

/** The same where the model's reasoning counts as output. */
const reasonedSummaryTokens = 16_384;

/** What shapes an answer, or offers other work than writing it. */
const leftOut = [
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'max_tool_calls',
  'text',
  'context_management',
];

/** The request for a summary of a request's conversation. */
function summaryRequest(body: JsonObject, context: BridgeContext): BridgedRequest {
  const { input } = body;
  const items = typeof input === 'string' ? [message(input)] : Array.isArray(input) ? input : [];
  const request: JsonObject = {
    ...body,
    input: [...items.filter((item) => !isTrigger(asObject(item))), message(summaryInstruction)],
    max_output_tokens: outputLimit(body, context),
    // Nobody will ask for it: what the caller gets is made of it, under another id.
    store: false,
  };
  const dropped = leftOut.filter((name) => (request[name] ?? null) !== null);
  for (const name of leftOut) delete request[name];
  return { body: request, dropped };
}

function message(text: string): JsonObject {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

function isTrigger(item: JsonObject | undefined): boolean {
  return item?.type === 'compaction_trigger';
}

function outputLimit(body: JsonObject, { deployment }: BridgeContext): number {
  const { family, facts } = deployment;
  // Of a model that nothing is known of, the caller knows more.
  const reasons =
    family === undefined ? asObject(body.reasoning) !== undefined : family === 'reasoning';
  return Math.min(
    reasons ? reasonedSummaryTokens : summaryTokens,
    asNumber(body.max_output_tokens) ?? Infinity,
    facts.maxOutputTokens ?? Infinity,
  );
}

/**
 * The compaction of a conversation, of the whole response that summarises it. A summary that was cut at its limit still serves.
 *
 * @throws GatewayError `upstream_error` when the response has none
 */
function compactionItem(response: JsonObject, context: BridgeContext): JsonObject {
  const summary = asObjects(response.output)
    .filter(({ type }) => type === 'message')
    .flatMap(({ content }) => asObjects(content))
    .map((part) => (part.type === 'output_text' ? (asString(part.text) ?? '') : ''))
    .join('');
  const isFiltered = asObject(response.incomplete_details)?.reason === 'content_filter';
  if (summary.trim() === '' || isFiltered) {
    const error = asObject(response.error);
    throw new GatewayError('upstream_error', {
      values: { reason: asString(error?.code) ?? 'it gave no summary of the conversation' },
      cause: error,
    });
  }
  return {
    id: `cmp_${context.requestId}`,
    type: 'compaction',
    encrypted_content: sealSummary(summary),
  };
}

/** The response of a turn that did nothing but compact. */
function compactionTurn(
  response: JsonObject,
  context: BridgeContext,
  output: JsonObject[],
): JsonObject {
  const { request, requestId, model } = context;
  return {
    ...response,
    id: `resp_${requestId}`,
    model,
    max_output_tokens: request.max_output_tokens ?? null,
    output,
    tools: request.tools ?? [],
    tool_choice: request.tool_choice ?? 'auto',
    parallel_tool_calls: request.parallel_tool_calls ?? true,
  };
}

/** A response's text kept back until it is whole, then given as the one item that it stands in. */
class CompactionStream implements StreamBridge {
  finished = false;
  readonly #context: BridgeContext;
  #sequenceNumber = 0;
  #begun: JsonObject;

  constructor(context: BridgeContext) {
    this.#context = context;
    this.#begun = compactionTurn({ created_at: context.createdAt }, context, []);
  }

  push(event: SseEvent): string {
    const body = this.finished ? undefined : parseObject(event.data);
    if (body === undefined) return '';
    const error = streamErrorOf(event, body);
    if (error !== undefined) return this.#fail(error);
    const response = asObject(body.response) ?? {};
    switch (body.type) {
      case 'response.created':
      case 'response.queued':
      case 'response.in_progress':
        this.#begun = compactionTurn(response, this.#context, []);
        return this.#write(body.type, { response: this.#begun });
      case 'response.completed':
      case 'response.incomplete':
        return this.#close(response);
      default:
        return '';
    }
  }

  end(): string {
    return this.finished ? '' : this.#fail(interruption());
  }

  #fail(error: StreamError): string {
    this.finished = true;
    return failureEvents(error, this.#sequenceNumber, this.#begun);
  }

  #close(response: JsonObject): string {
    let item: JsonObject;
    try {
      item = compactionItem(response, this.#context);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const { message: text, type, param, code } = error.envelope().error;
      return this.#fail({ message: text, type, param, code });
    }
    this.finished = true;
    const completed = { ...response, status: 'completed', incomplete_details: null };
    return (
      this.#write('response.output_item.added', { output_index: 0, item }) +
      this.#write('response.output_item.done', { output_index: 0, item }) +
      this.#write('response.completed', {
        response: compactionTurn(completed, this.#context, [item]),
      })
    );
  }

  #write(type: string, members: JsonObject): string {
    const data = JSON.stringify({ type, sequence_number: this.#sequenceNumber, ...members });
    this.#sequenceNumber += 1;
    return formatSseEvent({ event: type, data });
  }
}

/** `/responses/compact` on deployments that answer responses and lack this path. */
export const compactOverResponses: Bridge = {
  from: 'responses.compact',
  to: 'responses',
  tables: [],
  request: (body, context) => {
    // The path gives whole answers only.
    const { stream: _, ...rest } = body;
    return summaryRequest(rest, context);
  },
  response: (response, context) => ({
    id: `resp_${context.requestId}`,
    object: 'response.compaction',
    created_at: context.createdAt,
    output: [compactionItem(response, context)],
    usage: response.usage ?? null,
  }),
  stream: (context) => new CompactionStream(context),
};

/** Calls whose input ends in `compaction_trigger`, on deployments that answer responses and do not know it. */
export const compactionTurnOverResponses: Bridge = {
  from: 'responses.compaction_trigger',
  to: 'responses',
  tables: [],
  request: summaryRequest,
  response: (response, context) =>
    compactionTurn({ ...response, status: 'completed', incomplete_details: null }, context, [
      compactionItem(response, context),
    ]),
  stream: (context) => new CompactionStream(context),
};
