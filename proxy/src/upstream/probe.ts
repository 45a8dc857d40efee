import type { DeploymentRecord, Operation } from '@aigateway/contract/records';
import type { Credential } from './credential.ts';
import { modelsPath, setsModelInBody, upstreamPath } from './dialect.ts';
import { classifyFailure, failureOfTransport, type UpstreamFailure } from './failure.ts';
import type { UpstreamAnswerHeaders } from './headers.ts';
import type { Transport, TransportError, TransportHandler, TransportRequest } from './transport.ts';

export type ProbeResult = {
  ok: boolean;
  /** The upstream's status; 0 when no answer came. */
  status: number;
  /** Why not, when it is not. */
  failure?: UpstreamFailure;
  /** What the network failed with, for logs and operators. */
  cause?: unknown;
};

export type ProbeOptions = {
  /**
   * - `resource`: the model list: host, network and credential work. Costs neither tokens nor a request of a deployment's limit.
   * - `deployment`: a request without content, which is refused as incomplete, and so after the deployment was found. Costs no
   *   tokens, but counts as a request.
   */
  level?: 'resource' | 'deployment';
  timeoutMs?: number;
};

const defaultTimeoutMs = 10_000;

/** A refusal tells all it has to tell in its first kilobytes; a model list is not read at all. */
const maxBodyLength = 16_384;

/**
 * Asks an upstream whether it would serve, without using tokens. Never rejects: a credential that cannot be had is a failure too.
 *
 * Wildcard deployments are always probed at the level of their resource: they name no deployment to ask for.
 */
export async function probe(
  deployment: DeploymentRecord,
  credential: Credential,
  transport: Transport,
  options: ProbeOptions = {},
): Promise<ProbeResult> {
  const operation: Operation = deployment.operations?.[0] ?? 'chat';
  const level = deployment.deployment.includes('*') ? 'resource' : (options.level ?? 'resource');
  const context = { capability: operation, capacity: deployment.capacity, now: Date.now() };

  let headers: string[];
  try {
    const header = await credential.header();
    headers = header === null ? [] : [header.name, header.value];
  } catch {
    return { ok: false, status: 0, failure: classifyFailure(401, {}, '', context) };
  }

  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const request =
    level === 'resource'
      ? { method: 'GET' as const, path: modelsPath(deployment), headers, body: null }
      : emptyRequest(deployment, operation, headers);
  const answer = await ask(transport, deployment.resource.origin, {
    ...request,
    headersTimeoutMs: timeoutMs,
    bodyTimeoutMs: timeoutMs,
  });
  if ('error' in answer) {
    const { error } = answer;
    return { ok: false, status: 0, failure: failureOfTransport(error), cause: error.cause };
  }
  if (answer.status >= 200 && answer.status < 300) return { ok: true, status: answer.status };
  const failure = classifyFailure(answer.status, answer.headers, answer.body, context);
  const isFound =
    level === 'deployment' &&
    (failure.kind === 'bad_request' ||
      failure.kind === 'unknown_parameter' ||
      failure.kind === 'parameter_unsupported' ||
      failure.kind === 'operation_unsupported');
  return isFound
    ? { ok: true, status: answer.status }
    : { ok: false, status: answer.status, failure };
}

function emptyRequest(deployment: DeploymentRecord, operation: Operation, headers: string[]) {
  const named = setsModelInBody(deployment.dialect, operation);
  const body = Buffer.from(JSON.stringify(named ? { model: deployment.deployment } : {}));
  return {
    method: 'POST' as const,
    path: upstreamPath(deployment, deployment.deployment, { operation, suffix: '', query: '' }),
    headers: ['content-type', 'application/json', ...headers],
    body,
  };
}

type Answer =
  | { status: number; headers: UpstreamAnswerHeaders; body: string }
  | { error: TransportError };

function ask(transport: Transport, origin: string, request: TransportRequest): Promise<Answer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let status = 0;
    let headers: UpstreamAnswerHeaders = {};
    const handler: TransportHandler = {
      onHeaders(answered, received) {
        status = answered;
        headers = received;
      },
      onData(chunk) {
        if (length < maxBodyLength) chunks.push(chunk);
        length += chunk.length;
      },
      onEnd: () => resolve({ status, headers, body: Buffer.concat(chunks).toString('utf8') }),
      onError: (error) => resolve({ error }),
    };
    transport.dispatch(origin, request, handler);
  });
}
