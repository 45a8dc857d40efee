import type { DeploymentRecord, JsonObject, Operation } from '@aigateway/contract/records';
import { isObject } from '@aigateway/contract/json';
import { bridgeFor } from '../bridge/index.ts';
import { createEndpoint } from '../endpoints/index.ts';
import { invalidParameter } from '../errors.ts';
import { operationOf, suffixOf } from '../operations/capability.ts';
import { upstreamName } from '../routing/models.ts';
import type { Snapshot } from '../snapshot.ts';
import { upstreamPath } from '../upstream/dialect.ts';
import { upstreamHeaders } from '../upstream/headers.ts';
import type { Caller } from './authenticate.ts';
import { authorize } from './authorize.ts';
import { parseBody } from './body.ts';
import { candidatesOf, capabilityOn } from './candidates.ts';
import { defaultsOn } from './defaults.ts';
import type { Gateway } from './gateway.ts';
import { estimateInput } from './limit.ts';
import { prepare } from './prepare.ts';
import { readCall } from './read.ts';
import { noDeployment } from './send.ts';

/** LiteLLM's names of calls, and our own. */
const operationOfCall: { readonly [name: string]: Operation } = {
  completion: 'chat',
  acompletion: 'chat',
  chat: 'chat',
  text_completion: 'completions',
  atext_completion: 'completions',
  completions: 'completions',
  embedding: 'embeddings',
  aembedding: 'embeddings',
  embeddings: 'embeddings',
  responses: 'responses',
  aresponses: 'responses',
};

/** Stands where a deployment's own headers and members of the body would: they may be secrets. */
const masked = '****';

/**
 * The request that would go upstream for a call, with everything that is changed on the way: LiteLLM's `/utils/transform_request`. Nothing
 * is sent. It is that of the first deployment which may serve the call; hosts are shown to those who may know them, credentials to nobody.
 *
 * @throws GatewayError as the call itself would be refused, and `invalid_parameter` for a call that is none
 */
export function transformedRequest(
  body: JsonObject,
  requestId: string,
  caller: Caller,
  snapshot: Snapshot,
  gateway: Gateway,
): JsonObject {
  const { call_type: callType, request_body: requestBody } = body;
  const operation = typeof callType === 'string' ? operationOfCall[callType] : undefined;
  const endpoint = operation === undefined ? undefined : createEndpoint(operation);
  if (endpoint === undefined) {
    const names = Object.keys(operationOfCall).join(', ');
    throw invalidParameter('call_type', `"call_type" must be one of ${names}`);
  }
  if (!isObject(requestBody))
    throw invalidParameter('request_body', '"request_body" must be an object');

  const now = gateway.clock.now();
  const call = readCall(
    { url: endpoint.path, headers: {} },
    { endpoint, model: undefined, id: undefined },
    Buffer.from(JSON.stringify(requestBody)),
    requestId,
    now,
    { userHeader: undefined, tagHeaders: [] },
  );
  const grant = authorize(call, caller, snapshot);
  const { model, key, asked } = grant;
  const { settings } = snapshot.records;
  const inputTokens = estimateInput(call);
  const { candidates, reason } = candidatesOf(model, grant, gateway, inputTokens, undefined, now);
  const [state] = candidates;
  if (state === undefined) throw noDeployment(reason ?? 'no_member', asked);
  const { record } = state;
  const capability = capabilityOn(state, grant, now) ?? call.capability;
  const deployment = upstreamName(record, model);
  const prepared = prepare({
    call,
    // Ids stay in the words of the caller: those of the upstream are nobody's to know.
    translated: undefined,
    state: { ...state, record: { ...record, defaults: {} } },
    deployment,
    model: asked,
    capability,
    bridge: capability === call.capability ? undefined : bridgeFor(call.capability, capability),
    settings,
    now,
    outputCap: key.maxOutputTokens,
  });
  const path = upstreamPath(record, deployment, {
    operation: prepared.upstream.name,
    suffix: suffixOf(capability) ?? '',
    query: '',
  });
  return {
    raw_request_api_base: snapshot.exposesUpstream(key) ? record.resource.origin + path : null,
    raw_request_body: withDefaults(
      prepared.body,
      defaultsOn(operationOf(capability), record.defaults),
    ),
    raw_request_headers: headersOf(record, requestId, settings),
    changes: [...prepared.changes],
  };
}

function withDefaults(prepared: Buffer | null, defaults: JsonObject): JsonObject {
  const body = (prepared === null ? undefined : parseBody(prepared)) ?? {};
  for (const name of Object.keys(defaults)) if (!Object.hasOwn(body, name)) body[name] = masked;
  return body;
}

function headersOf(
  record: DeploymentRecord,
  requestId: string,
  settings: Parameters<typeof upstreamHeaders>[0],
): JsonObject {
  const flat = upstreamHeaders(settings, {
    caller: {},
    deployment: record,
    credential: null,
    requestId,
    hasBody: true,
  });
  const own = new Set(Object.keys(record.headers).map((name) => name.toLowerCase()));
  const headers: JsonObject = {};
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] ?? '';
    headers[name] = own.has(name.toLowerCase()) ? masked : (flat[at + 1] ?? '');
  }
  return headers;
}
