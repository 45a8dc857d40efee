import type { RequestEnd } from '../accounting/meter.ts';
import { loggedText, RecordedAnswer } from '../telemetry/recorded-answer.ts';
import type { Grant } from './authorize.ts';
import type { Gateway } from './gateway.ts';

/** Where the answer to a call is kept for the log; undefined unless its key chose that and the configuration lets it. */
export function recordedAnswer({ key, snapshot }: Grant): RecordedAnswer | undefined {
  if (key.logsMessages !== true) return undefined;
  const { messageLogging } = snapshot.records.settings;
  return messageLogging === undefined ? undefined : new RecordedAnswer(messageLogging.maxLength);
}

/** Writes what a caller sent and got, redacted, as an event of its own. */
export function logMessages(
  recorded: RecordedAnswer,
  grant: Grant,
  { outcome, status }: RequestEnd,
  gateway: Gateway,
): void {
  const { call, key, asked } = grant;
  const response = recorded.logged(outcome !== 'aborted' && outcome !== 'interrupted');
  const request = call.body.length === 0 ? undefined : loggedText(call.body, recorded.maxLength);
  gateway.accessLog.messages({
    requestId: call.requestId,
    startedAt: call.startedAt,
    durationMs: gateway.clock.now() - call.startedAt,
    endpoint: call.match.endpoint.name,
    keyId: key.keyId,
    keyAlias: key.alias,
    model: asked,
    stream: call.stream,
    status,
    request: request?.text,
    requestBytes: call.body.length,
    requestCut: request?.isCut || undefined,
    response: recorded.bytes === 0 ? undefined : response.text,
    responseBytes: recorded.bytes,
    responseCut: response.isCut || undefined,
  });
}
