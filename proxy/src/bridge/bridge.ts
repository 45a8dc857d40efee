import type { DeploymentRecord, JsonObject } from '@aigateway/contract/records';
import type { Capability } from '../operations/capability.ts';
import type { ParameterTable } from './parameter-tables.ts';

/** What a bridge must know of the caller's request to shape the answer. */
export type BridgeContext = {
  /** The name the caller asked for; appears as `model` in bridged answers. */
  model: string;
  /** The caller's own request body. */
  request: JsonObject;
  /** Seconds since the epoch, for answers that carry a creation time. */
  createdAt: number;
  /** Unique, without prefix: ids made by the bridge are built from it. */
  requestId: string;
  /** What is known of the model that will answer. */
  deployment: Pick<DeploymentRecord, 'family' | 'facts'>;
};

/** One server-sent event of the upstream: its `event:` name (empty when absent) and its `data:` lines joined by newlines. */
export type SseEvent = { event: string; data: string };

/** Translates one stream, event by event. */
export interface StreamBridge {
  /** Gives the SSE text for the caller that this upstream event causes; empty when it causes none. */
  push(event: SseEvent): string;
  /** The upstream ended. Gives the text that closes the caller's stream, an error event when the upstream broke off early. */
  end(): string;
  /** True once the upstream's terminal event was seen. */
  readonly finished: boolean;
}

/** An upstream request and what of the caller's request it could not carry. */
export type BridgedRequest = {
  body: JsonObject;
  /**
   * Parameters left out because the answer stays usable without them, by their path in the caller's request
   * (`stop`, `tools[].web_search`, `input[].reasoning`): bounded in number, free of what the caller wrote.
   */
  dropped: readonly string[];
};

/** One thing asked of a deployment that can only do another. Pure: no I/O, no clock. */
export interface Bridge {
  readonly from: Capability;
  readonly to: Capability;
  /** The way of the caller's parameters, the upstream's side first: by it errors name them as the caller does. */
  readonly tables: readonly ParameterTable[];
  /**
   * The upstream's request for a caller's request. `model`, `stream` and fields that neither operation documents are carried over.
   *
   * @throws GatewayError `bridge_unsupported` naming the parameter that cannot be carried
   */
  request(body: JsonObject, context: BridgeContext): BridgedRequest;
  /**
   * The caller's answer for the upstream's whole answer.
   *
   * @throws GatewayError `upstream_error` if the answer itself says that it failed, which the caller's operation has no field for
   */
  response(body: JsonObject, context: BridgeContext): JsonObject;
  stream(context: BridgeContext): StreamBridge;
}
