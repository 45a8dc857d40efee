import type { IncomingMessage, ServerResponse } from 'node:http';

import { authenticate } from './auth.ts';
import type { Simulation } from './call.ts';
import { answerControl } from './control.ts';
import { countCustomHeaders } from './custom-headers.ts';
import { deliver } from './deliver.ts';
import {
  AzureError,
  invalidRequest,
  modelError,
  resourceNotFound,
  subdomainUnknown,
  tooManyHeaders,
} from './errors.ts';
import { disturb } from './fault-effects.ts';
import type { Disturbed } from './fault-effects.ts';
import { isObject } from './json.ts';
import type { JsonObject } from './json.ts';
import type { RecordedRequest } from './recorder.ts';
import { jsonReply } from './reply.ts';
import type { Reply } from './reply.ts';
import { findResource, regionName } from './resources.ts';
import type { Resource } from './resources.ts';
import { findRoute } from './router.ts';
import type { Usage } from './tokens.ts';

/** Path prefix of the control API. */
const CONTROL_PREFIX = '/_sim/';

type Incoming = {
  method: string;
  url: URL;
  headers: Record<string, string>;
  text: string;
};

/** Answers one request of any kind: control, identity or model. */
export async function handleRequest(
  simulation: Simulation,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const incoming: Incoming = {
    method: request.method ?? 'GET',
    // Joined as text: resolving `//path` against a base would take its first segment for a host.
    url: new URL(`http://simulator${request.url ?? '/'}`),
    headers: flatHeaders(request),
    text: '',
  };
  const { pathname } = incoming.url;
  if (pathname.startsWith(CONTROL_PREFIX)) {
    incoming.text = await readText(request);
    const reply = answerControl(simulation, {
      method: incoming.method,
      path: pathname.slice(CONTROL_PREFIX.length),
      body: incoming.text,
    });
    await deliver(response, reply, undefined, simulation.clock);
    return;
  }
  const recorded = simulation.recorder.begin({
    at: simulation.clock.now(),
    method: incoming.method,
    url: request.url ?? '/',
    headers: incoming.headers,
  });
  const { recorder } = simulation;
  try {
    incoming.text = await readText(request);
    recorded.body = parsed(incoming.text);
    const answered = await answer(simulation, incoming, recorded);
    const { reply } = answered;
    if (answered.fault !== undefined) recorded.fault = answered.fault;
    if (answered.deployment !== undefined) recorded.deployment = answered.deployment;
    const delivery = await deliver(response, reply, answered.disturbance, simulation.clock);
    if (delivery.started) recorded.status = reply.status;
    recorded.aborted = delivery.aborted;
    if (reply.usage !== undefined && delivery.started) {
      recorded.usage = delivery.aborted ? partOf(reply.usage, delivery.tokensSent) : reply.usage;
    }
  } catch (error) {
    recorded.aborted = true;
    if (!response.headersSent && !response.destroyed) {
      await deliver(response, internalFailure(error), undefined, simulation.clock);
    }
    response.destroy();
  } finally {
    recorder.end(recorded, simulation.clock.now());
  }
}

/** What a cut answer consumed: the whole prompt, all reasoning, and the output that was sent. */
function partOf(usage: Usage, tokensSent: number): Usage {
  return {
    ...usage,
    completionTokens: Math.min(usage.completionTokens, usage.reasoningTokens + tokensSent),
  };
}

function internalFailure(error: unknown): Reply {
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return jsonReply(500, { error: { code: 'SimulatorFailure', message } });
}

async function answer(
  simulation: Simulation,
  incoming: Incoming,
  recorded: RecordedRequest,
): Promise<Disturbed> {
  const identity = await simulation.identity.answer({
    method: incoming.method,
    path: incoming.url.pathname,
    query: incoming.url.searchParams,
    headers: incoming.headers,
    body: incoming.text,
  });
  if (identity !== undefined) {
    recorded.operation = 'token';
    return struckToken(simulation, identity);
  }
  if (simulation.vault !== undefined && /^\/secrets(\/|$)/.test(incoming.url.pathname)) {
    recorded.operation = 'secret';
    const fault = simulation.faults.next({ ...noDeployment, operation: 'secret' });
    return simulation.vault.answer(
      {
        method: incoming.method,
        path: incoming.url.pathname,
        apiVersion: incoming.url.searchParams.get('api-version'),
        authorization: incoming.headers['authorization'],
      },
      fault,
    );
  }
  const destination = findResource(
    simulation.resources,
    incoming.headers['host'] ?? '',
    incoming.url.pathname,
  );
  if ('unknown' in destination) return { reply: subdomainUnknown().reply };
  recorded.resource = destination.resource.name;
  let disturbed: Disturbed;
  try {
    disturbed = serve(simulation, incoming, recorded, destination);
  } catch (error) {
    if (!(error instanceof AzureError)) throw error;
    disturbed = { reply: error.reply };
  }
  disturbed.reply.headers = {
    ...baseHeaders(simulation, destination.resource, incoming),
    ...disturbed.reply.headers,
  };
  return disturbed;
}

function serve(
  simulation: Simulation,
  incoming: Incoming,
  recorded: RecordedRequest,
  destination: { resource: Resource; path: string; regional: boolean },
): Disturbed {
  const { resource, path, regional } = destination;
  const { headers } = incoming;
  if (countCustomHeaders(headers) > simulation.config.maxCustomHeaders) throw tooManyHeaders();
  if (path.includes('//')) throw resourceNotFound();
  const route = findRoute(incoming.method, path, incoming.url.searchParams);
  recorded.operation = route.operation.name;
  authenticate(
    resource,
    { headers, dialect: route.dialect, regional },
    {
      identity: simulation.identity,
      permissionWording: simulation.config.identity.permissionWording,
      clock: simulation.clock,
    },
  );
  if (route.versionError !== undefined) throw route.versionError;
  return route.operation.serve({
    simulation,
    resource,
    dialect: route.dialect,
    apiVersion: route.apiVersion,
    method: incoming.method,
    path: route.path,
    query: incoming.url.searchParams,
    headers,
    body: jsonBody(incoming),
  });
}

const noDeployment = { resource: '-', deployment: undefined };

function struckToken(simulation: Simulation, reply: Reply): Disturbed {
  const fault = simulation.faults.next({
    ...noDeployment,
    operation: 'token',
  });
  return disturb(reply, fault, {
    wording: simulation.config.rateLimitWording,
    refused: {
      deployment: '-',
      model: '-',
      region: { id: '-', name: '-' },
      operation: 'token',
      apiVersion: '-',
    },
    operation: 'token',
    now: simulation.clock.now(),
  });
}

function jsonBody(incoming: Incoming): JsonObject {
  if (incoming.text === '') return {};
  const type = incoming.headers['content-type'] ?? '';
  if (!/^application\/(?:[^;]+\+)?json\b/i.test(type)) {
    throw modelError(415, {
      message: `Unsupported content type: '${type}'. This API method only accepts 'application/json' requests, but you specified the header 'Content-Type: ${type}'. Please try again with a supported content type.`,
      code: 'unsupported_content_type',
    });
  }
  const body = parsed(incoming.text);
  if (!isObject(body)) {
    throw invalidRequest(
      "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)",
    );
  }
  return body;
}

function parsed(text: string): unknown {
  try {
    return text === '' ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return text;
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function flatHeaders(request: IncomingMessage): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}

function baseHeaders(
  simulation: Simulation,
  resource: Resource,
  incoming: Incoming,
): Record<string, string> {
  const frontEndId = simulation.ids.request();
  return {
    'apim-request-id': frontEndId,
    'x-request-id': simulation.ids.request(),
    'x-ms-client-request-id': incoming.headers['x-ms-client-request-id'] ?? frontEndId,
    'x-ms-region': regionName(resource.config.region),
    'strict-transport-security': 'max-age=31536000; includeSubDomains; preload',
    'x-content-type-options': 'nosniff',
  };
}
