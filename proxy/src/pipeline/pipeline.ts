import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KeyRecord } from '@aigateway/contract/records';
import { requestIdOf } from '@aigateway/contract/request-id';
import type { UsageRecord } from '@aigateway/contract/usage';
import type { Match } from '../endpoints/endpoint.ts';
import { createEndpoint } from '../endpoints/index.ts';
import { canonicalPath, rememberedEndpoint } from '../endpoints/path.ts';
import { GatewayError, methodNotAllowed } from '../errors.ts';
import type { Caller } from './authenticate.ts';
import { authorize, authorizeRoute, chargedBeside, type Grant } from './authorize.ts';
import { accountBackground } from './background.ts';
import { clientAddress } from './client-address.ts';
import type { Gateway } from './gateway.ts';
import { identify } from './identify.ts';
import { limit } from './limit.ts';
import { readCall } from './read.ts';
import { checkBodyHeaders, receiveBody } from './receive.ts';
import { refusalFacts } from './refusal-facts.ts';
import { asGatewayError, refuse, stopping } from './refuse.ts';
import { logMessages, recordedAnswer } from './messages.ts';
import { RecordedReply } from './recorded-reply.ts';
import { Reply, type FlatHeaders } from './reply.ts';
import { send } from './send.ts';
import { readState, type StatefulBody } from './state.ts';
import { authorizeStored } from './stored.ts';

/** What is known of a request before anything of it has been checked. */
export type Arrival = { readonly requestId: string; readonly startedAt: number };

export function arrive(request: IncomingMessage, gateway: Gateway): Arrival {
  return { requestId: requestIdOf(request.headers), startedAt: gateway.clock.now() };
}

/** Headers that every answer to a request carries. */
export function arrivalHeaders({ requestId }: Arrival): FlatHeaders {
  return ['x-request-id', requestId, 'x-litellm-call-id', requestId];
}

/**
 * Serves one request for a model: authenticate → read → authorize → limit → route → send → respond → meter.
 *
 * Steps return values and keep none of each other's; an error of a step before admission is answered here, everything after
 * admission is answered by `send` and accounted for exactly once.
 */
export async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  gateway: Gateway,
): Promise<void> {
  const arrival = arrive(request, gateway);
  let endpoint = 'unknown';
  let caller: Caller | undefined;
  try {
    const match = route(request, gateway);
    endpoint = match.endpoint.name;
    const snapshot = gateway.snapshot();
    if (snapshot === undefined) throw new GatewayError('not_ready', { retryAfterMs: 1000 });
    // A promise only for a key that is not known here: usually nothing waits before the body is read.
    const identified = identify(request, snapshot, arrival.startedAt, gateway);
    caller = identified instanceof Promise ? await identified : identified;
    authorizeRoute(caller.key, request.url ?? '');
    checkBodyHeaders(request, gateway.options);
    const body = await receiveBody(request, response, gateway.options);
    const { settings } = snapshot.records;
    const call = readCall(request, match, body, arrival.requestId, arrival.startedAt, {
      userHeader: settings.userHeader,
      tagHeaders: settings.spendTagHeaders,
    });
    if (match.endpoint.kind === 'stored') {
      const { grant, stateful } = authorizeStored(call, caller, snapshot, gateway);
      await serve(request, response, gateway, arrival, grant, stateful);
      return;
    }
    const grant = authorize(call, caller, snapshot);
    const stateful = readState(call, gateway.tagger, caller.key.ownerId);
    await serve(request, response, gateway, arrival, grant, stateful);
  } catch (thrown) {
    const error = asGatewayError(thrown);
    // Who was still sending when the gateway ended the connection has not left.
    const isCut = error.code === 'client_closed' && gateway.heartbeat.isInterrupted;
    const told = isCut ? stopping() : error;
    refuseArrival(request, response, gateway, arrival, endpoint, told, caller);
  }
}

/** From admission on: whatever happens, the caller is answered and the request is accounted for once. */
async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  gateway: Gateway,
  arrival: Arrival,
  grant: Grant,
  stateful: StatefulBody | undefined,
): Promise<void> {
  // A promise only when a lease runs short: usually nothing waits between the body's last byte and the dial.
  const limited = limit(grant, gateway);
  const admitted = limited instanceof Promise ? await limited : limited;
  const { call, key, model } = grant;
  const admission = gateway.meter.admit({
    requestId: arrival.requestId,
    key,
    startedAt: arrival.startedAt,
    customerId: call.customerId,
    tags: call.spendTags.length === 0 ? grant.tags : [...grant.tags, ...call.spendTags],
    model: model.name,
    operation: call.operation.name,
    stream: call.stream,
    choices: call.choices,
    reservation: admitted.reservation,
    expected: {
      input: admitted.estimate.input,
      output: admitted.estimate.output,
      costNanoUsd: admitted.costNanoUsd,
    },
  });
  const headers = arrivalHeaders(arrival).concat('x-litellm-version', gateway.options.version);
  const { heartbeat, options } = gateway;
  const { startedAt } = arrival;
  const recorded = recordedAnswer(grant);
  const reply =
    recorded === undefined
      ? new Reply(response, heartbeat, options.timing, call.stream, headers, startedAt)
      : new RecordedReply(
          recorded,
          response,
          heartbeat,
          options.timing,
          call.stream,
          headers,
          startedAt,
        );
  const end = await send({
    grant,
    admitted,
    reply,
    gateway,
    callerHeaders: request.headers,
    stateful,
  });
  const record = admission.settle(end);
  if (record === undefined) return;
  if (key.chargedScopes !== undefined) chargeBeside(key, record, gateway);
  if (end.background !== undefined) accountBackground(end.background, record, grant, gateway);
  const reserved = admitted.estimate.total;
  gateway.metrics.settled(call.match.endpoint.name, model.group, record, reserved);
  gateway.accessLog.settled(
    call.match.endpoint.name,
    clientAddress(request, gateway.options.trustedHops),
    record,
  );
  if (recorded !== undefined) logMessages(recorded, grant, end, gateway);
}

/** Charges those whose budgets count the call and did not bind it. */
function chargeBeside(key: KeyRecord, record: UsageRecord, { corrections }: Gateway): void {
  const { costNanoUsd, startedAt } = record;
  if (costNanoUsd === 0) return;
  corrections.charge({
    scopes: chargedBeside(key, record.model),
    moreNanoUsd: costNanoUsd,
    startedAt,
  });
}

function route(request: IncomingMessage, gateway: Gateway): Match {
  const { method = '', url = '' } = request;
  const lookup = rememberedEndpoint(method, url);
  switch (lookup.kind) {
    case 'found':
      return lookup.match;
    case 'wrong-method':
      throw methodNotAllowed(method, lookup.allowed.join(', '));
    case 'unknown':
      return extraRoute(method, url, gateway);
  }
}

/**
 * A path that the configuration opens besides the table's.
 *
 * @throws GatewayError 404
 */
function extraRoute(method: string, url: string, gateway: Gateway): Match {
  const routes = gateway.snapshot()?.records.settings.extraRoutes ?? [];
  const path = canonicalPath(url);
  const found = method === 'POST' ? routes.find((route) => route.path === path) : undefined;
  const endpoint = found === undefined ? undefined : createEndpoint(found.operation);
  if (endpoint === undefined) throw new GatewayError('not_found');
  return { endpoint, model: undefined, id: undefined };
}

/** Answers, counts and logs a request that was refused before its admission. */
export function refuseArrival(
  request: IncomingMessage,
  response: ServerResponse,
  gateway: Gateway,
  arrival: Arrival,
  endpoint: string,
  error: GatewayError,
  caller?: Caller,
): void {
  refuse(response, arrivalHeaders(arrival), error);
  gateway.metrics.refused(error.code);
  gateway.accessLog.refused({
    requestId: arrival.requestId,
    startedAt: arrival.startedAt,
    durationMs: gateway.clock.now() - arrival.startedAt,
    client: clientAddress(request, gateway.options.trustedHops),
    method: request.method ?? '',
    endpoint,
    status: error.status,
    code: error.code,
    ...refusalFacts(error, request.url ?? ''),
    ...(caller !== undefined && { keyId: caller.key.keyId }),
  });
  if (error.cause !== undefined) {
    gateway.logger.error({ error: error.cause, requestId: arrival.requestId }, error.code);
  }
}
