import type { JsonObject } from '@aigateway/contract/records';
import { GatewayError } from '../errors.ts';
import { failureEvents } from '../operations/responses.ts';
import { formatSseEvent } from '../stream/sse.ts';
import type { Bridge, BridgeContext, SseEvent, StreamBridge } from './bridge.ts';
import { asObject, asObjects, asString, parseObject } from './json.ts';
import { responsesToChat } from './parameter-tables.ts';
import { ResponseAssembler } from './response-assembler.ts';
import { chatRequest } from './responses-chat-request.ts';
import { interruption, streamErrorOf, type StreamError } from './stream-error.ts';

function wholeResponse(completion: JsonObject, context: BridgeContext): JsonObject {
  if (asObjects(completion.choices).length === 0) {
    const error = asObject(completion.error);
    throw new GatewayError('upstream_error', {
      values: { reason: asString(error?.code) ?? 'it gave no answer' },
      cause: error,
    });
  }
  const assembler = new ResponseAssembler(context, () => {});
  assembler.absorb(completion);
  return assembler.finish();
}

/** A chat stream as the events of a response. */
class ChatToResponsesStream implements StreamBridge {
  finished = false;
  readonly #assembler: ResponseAssembler;
  #sequenceNumber = 0;
  #out = '';

  constructor(context: BridgeContext) {
    this.#assembler = new ResponseAssembler(context, (type, members) => this.#write(type, members));
  }

  push(event: SseEvent): string {
    if (this.finished) return '';
    this.#out = '';
    if (event.data === '[DONE]') {
      this.#close();
      return this.#out;
    }
    const body = parseObject(event.data);
    if (body === undefined) return '';
    const error = streamErrorOf(event, body);
    if (error === undefined) this.#assembler.absorb(body);
    else this.#fail(error);
    return this.#out;
  }

  end(): string {
    if (this.finished) return '';
    this.#out = '';
    // The answer is whole once its reason for ending was given; what may be missing after it is the usage.
    if (this.#assembler.finishReason === undefined) this.#fail(interruption());
    else this.#close();
    return this.#out;
  }

  #close(): void {
    if (!this.#assembler.hasStarted) {
      this.#fail(interruption());
      return;
    }
    this.#assembler.finish();
    this.finished = true;
  }

  #fail(error: StreamError): void {
    this.#out += failureEvents(error, this.#sequenceNumber, this.#assembler.begun);
    this.finished = true;
  }

  #write(type: string, members: JsonObject): void {
    const data = JSON.stringify({ type, sequence_number: this.#sequenceNumber, ...members });
    this.#sequenceNumber += 1;
    this.#out += formatSseEvent({ event: type, data });
  }
}

/** Responses clients on deployments that answer on chat only. */
export const responsesOverChat: Bridge = {
  from: 'responses',
  to: 'chat',
  tables: [responsesToChat],
  request: chatRequest,
  response: wholeResponse,
  stream: (context) => new ChatToResponsesStream(context),
};
