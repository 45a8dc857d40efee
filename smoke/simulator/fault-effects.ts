import type { RateLimitWording } from './config.ts';
import type { Fault } from './faults.ts';
import { isObject } from './json.ts';
import type { JsonObject } from './json.ts';
import { namedError } from './named-errors.ts';
import {
  PROVISIONED_FULL_TEXT,
  rateLimited,
  rateLimitText2026,
  retryAfterHeaders,
} from './rate-limit-errors.ts';
import type { RefusedCall } from './rate-limit-errors.ts';
import { dataFrame, namedFrame } from './reply.ts';
import type { Frame, Reply } from './reply.ts';

/** What happens to the connection while an answer is sent. */
export type Disturbance = Extract<Fault, { kind: 'cut' | 'stall' | 'reset' }>;

/** A reply with what was done to it. */
export type Disturbed = {
  reply: Reply;
  disturbance?: Disturbance;
  /** Kind of the fault that struck, for the record. */
  fault?: Fault['kind'];
  /** Deployment that answered. */
  deployment?: string;
};

/** What a fault needs to know of the call it strikes. */
export type FaultContext = {
  wording: RateLimitWording;
  refused: RefusedCall;
  operation: string;
  /** Milliseconds since 1970, for waits told as a date. */
  now: number;
};

const SERVER_ERROR_TEXT =
  'The server had an error while processing your request. Sorry about that!';

/** Applies a fault to a finished reply; without a fault the reply passes as it is. */
export function disturb(reply: Reply, fault: Fault | undefined, context: FaultContext): Disturbed {
  if (fault === undefined) return { reply };
  const struck = fault.kind;
  switch (fault.kind) {
    case 'error':
      return { reply: inherit(reply, namedError(fault.error, context.refused)), fault: struck };
    case 'rate-limit':
      return { reply: inherit(reply, rateLimitReply(fault, context)), fault: struck };
    case 'stream-error':
      return { reply: streamError(reply, fault, context), fault: struck };
    case 'cut':
    case 'stall':
    case 'reset':
      return { reply, disturbance: fault, fault: struck };
  }
}

/** The error keeps the name of the deployment, and nothing else of the answer it replaces. */
function inherit(reply: Reply, error: Reply): Reply {
  const name = reply.headers['x-ms-deployment-name'];
  return {
    ...error,
    headers: { ...(name === undefined ? {} : { 'x-ms-deployment-name': name }), ...error.headers },
  };
}

function rateLimitReply(
  fault: Extract<Fault, { kind: 'rate-limit' }>,
  context: FaultContext,
): Reply {
  const told = fault.form === 'none' ? '2026' : (fault.wording ?? context.wording);
  // The 2026 text names no wait, so a wait that is told by the text alone needs an older one.
  const wording = fault.form === 'text' && told === '2026' ? 'classic' : told;
  const reply = rateLimited(wording, 'tokens', context.refused, fault.retryAfterMs);
  const headers = retryAfterHeaders(fault.retryAfterMs);
  switch (fault.form) {
    case 'both':
      reply.headers = headers;
      break;
    case 'ms':
      reply.headers = { 'retry-after-ms': String(fault.retryAfterMs) };
      break;
    case 'seconds':
      reply.headers = { 'retry-after': String(Math.ceil(fault.retryAfterMs / 1000)) };
      break;
    case 'date':
      // Node's own `date` may be of the second before, and the wait would be one second longer.
      reply.headers = {
        date: new Date(context.now).toUTCString(),
        'retry-after': new Date(context.now + fault.retryAfterMs).toUTCString(),
      };
      break;
    case 'text':
    case 'none':
      break;
  }
  return reply;
}

function streamError(
  reply: Reply,
  fault: Extract<Fault, { kind: 'stream-error' }>,
  context: FaultContext,
): Reply {
  const kind = fault.error ?? (fault.afterEvents === 0 ? 'rate-limit' : 'server-error');
  if (reply.status !== 200) return reply;
  if (reply.payload.kind !== 'stream') {
    // Without a stream there is nothing to hide the error in: it comes as a status.
    return inherit(
      reply,
      namedError(kind === 'rate-limit' ? '429-tokens-2026' : '500-internal', context.refused),
    );
  }
  const { frames } = reply.payload;
  const before = framesBefore(frames, fault.afterEvents);
  const spoiled = context.operation.startsWith('responses')
    ? responsesError(frames, before, fault, kind, context)
    : [
        ...(fault.afterEvents > 0 || fault.shape === 'provisioned' ? before : []),
        dataFrame({ error: errorOf(kind, fault, context) }),
      ];
  const { usage, ...rest } = reply;
  const sent = spoiled.reduce((sum, frame) => sum + frame.tokens, 0);
  return {
    ...rest,
    payload: { kind: 'stream', frames: spoiled },
    // A call that fails before its output costs nothing.
    ...(usage === undefined || sent === 0
      ? {}
      : { usage: { ...usage, completionTokens: usage.reasoningTokens + sent } }),
  };
}

/** The events up to the n-th one with output, or to the last one if there are fewer; for 0 the first event alone. */
function framesBefore(frames: readonly Frame[], outputs: number): readonly Frame[] {
  const positions = frames.flatMap((frame, index) => (frame.tokens > 0 ? [index] : []));
  const last = outputs === 0 ? 0 : (positions[outputs - 1] ?? positions.at(-1) ?? 0);
  return frames.slice(0, last + 1);
}

function errorOf(
  kind: 'rate-limit' | 'server-error',
  fault: Extract<Fault, { kind: 'stream-error' }>,
  context: FaultContext,
): { message: string; type: string; param: null; code: string } {
  if (kind === 'server-error') {
    return { message: SERVER_ERROR_TEXT, type: 'server_error', param: null, code: 'server_error' };
  }
  const provisioned = fault.shape === 'provisioned';
  return {
    message: rateLimitText(fault, context),
    type: 'too_many_requests',
    param: null,
    code: provisioned ? 'rate_limit_reached' : 'rate_limit_exceeded',
  };
}

function rateLimitText(
  fault: Extract<Fault, { kind: 'stream-error' }>,
  context: FaultContext,
): string {
  if (fault.retryAfterMs !== undefined) {
    return `Rate limit is exceeded. Try again in ${String(Math.ceil(fault.retryAfterMs / 1000))} seconds.`;
  }
  return fault.shape === 'provisioned' ? PROVISIONED_FULL_TEXT : rateLimitText2026(context.refused);
}

function responsesError(
  all: readonly Frame[],
  before: readonly Frame[],
  fault: Extract<Fault, { kind: 'stream-error' }>,
  kind: 'rate-limit' | 'server-error',
  context: FaultContext,
): Frame[] {
  const error = errorOf(kind, fault, context);
  const untouched = fault.afterEvents === 0;
  switch (fault.shape) {
    case 'nested': {
      const sent = untouched ? [] : before;
      const headers = { 'x-ms-fe-error': 'true' };
      return [
        ...sent,
        namedFrame({
          type: 'error',
          error: { ...error, headers },
          sequence_number: Math.max(1, sent.length),
        }),
      ];
    }
    case 'flat': {
      const sent = untouched ? [] : before;
      const { message, param, code } = error;
      return [
        ...sent,
        namedFrame({ type: 'error', code, message, param, sequence_number: sent.length }),
      ];
    }
    case 'provisioned': {
      const sent = untouched ? all.slice(0, 1) : before;
      const headers = { 'skip-error-remapping': 'true' };
      return [
        ...sent,
        namedFrame({
          type: 'error',
          error: { ...error, headers },
          sequence_number: sent.length + 1,
        }),
      ];
    }
    case 'failed': {
      const sent = untouched ? all.slice(0, 2) : before;
      const { message, code } = error;
      const failed = {
        type: 'response.failed',
        sequence_number: sent.length,
        response: { ...responseOf(all[0]), status: 'failed', error: { code, message } },
      };
      return [...sent, namedFrame(failed)];
    }
  }
}

function responseOf(created: Frame | undefined): JsonObject {
  const data = created?.text.split('\ndata: ')[1] ?? '{}';
  const event = JSON.parse(data) as JsonObject;
  return isObject(event['response']) ? event['response'] : {};
}
