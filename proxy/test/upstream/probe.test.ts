import type { RequestListener } from 'node:http';
import type { DeploymentRecord } from '@aigateway/contract/records';
import { afterEach, describe, expect, it } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import type { Credential } from '../../src/upstream/credential.ts';
import { probe, type ProbeOptions } from '../../src/upstream/probe.ts';
import { createTransport } from '../../src/upstream/transport.ts';
import { startServer } from './server.ts';

const started: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const item of started.splice(0)) await item.close();
});

const key: Credential = {
  header: () => ({ name: 'api-key', value: 'k' }),
  renew: async () => {},
  renewable: false,
};

async function probeWith(
  listener: RequestListener,
  change: Partial<DeploymentRecord> = {},
  options: ProbeOptions = {},
  credential: Credential = key,
) {
  const server = await startServer(listener);
  const transport = createTransport({ keepAliveMs: 1000, connectTimeoutMs: 1000 });
  started.push(server, transport);
  const deployment = {
    id: 'd1',
    deployment: 'gpt-4o-std',
    dialect: 'classic',
    apiVersion: 'V',
    capacity: 'standard',
    resource: { id: 'r1', origin: server.origin, basePath: '' },
    ...change,
  } as DeploymentRecord;
  return probe(deployment, credential, transport, options);
}

function answering(status: number, body: unknown): RequestListener {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
}

describe('probe', () => {
  it('asks for the model list with the deployment’s credential', async () => {
    const seen: unknown[] = [];
    const result = await probeWith((request, response) => {
      seen.push([request.method, request.url, request.headers['api-key']]);
      response.end('{"data":[]}');
    });
    expect(result).toEqual({ ok: true, status: 200 });
    expect(seen).toEqual([['GET', '/openai/models?api-version=V', 'k']]);
  });

  it('asks a deployment for nothing, and takes the refusal of nothing for a yes', async () => {
    const seen: unknown[] = [];
    const refusal = { error: { message: "'messages' is a required property", code: null } };
    for (const dialect of ['classic', 'v1'] as const) {
      const result = await probeWith(
        (request, response) => {
          void request.toArray().then((chunks: Buffer[]) => {
            seen.push([request.url, JSON.parse(Buffer.concat(chunks).toString())]);
            response.writeHead(400).end(JSON.stringify(refusal));
          });
        },
        dialect === 'v1' ? { dialect, operations: ['embeddings'] } : { dialect },
        { level: 'deployment' },
      );
      expect(result).toEqual({ ok: true, status: 400 });
    }
    expect(seen).toEqual([
      ['/openai/deployments/gpt-4o-std/chat/completions?api-version=V', {}],
      ['/openai/v1/embeddings', { model: 'gpt-4o-std' }],
    ]);
  });

  it('asks the resource alone for a wildcard', async () => {
    let path: string | undefined;
    const listener: RequestListener = (request, response) => {
      path = request.url;
      response.end('{}');
    };
    await probeWith(listener, { deployment: '*', dialect: 'v1' }, { level: 'deployment' });
    expect(path).toBe('/openai/v1/models');
  });

  it.each([
    [
      404,
      { error: { code: 'DeploymentNotFound', message: 'does not exist' } },
      'deployment_missing',
    ],
    [401, { statusCode: 401, message: 'Unauthorized' }, 'auth'],
    [
      403,
      { error: { code: 'AccessDenied', message: 'Virtual Network/Firewall rules.' } },
      'network_refused',
    ],
    [429, { error: { code: '429', message: 'slow down' } }, 'rate_limited'],
    [503, {}, 'unavailable'],
  ])('tells why not: status %i', async (status, body, kind) => {
    const result = await probeWith(answering(status, body), {}, { level: 'deployment' });
    expect(result).toMatchObject({ ok: false, status, failure: { kind } });
  });

  it('fails when the upstream is silent or gone', async () => {
    const silent = await probeWith(() => {}, {}, { timeoutMs: 30 });
    expect(silent).toMatchObject({ ok: false, status: 0, failure: { kind: 'timeout' } });
    const gone = await probeWith((request) => request.socket.destroy());
    expect(gone).toMatchObject({ ok: false, status: 0, failure: { kind: 'unreachable' } });
  });

  it('fails without asking when there is no credential to be had', async () => {
    let calls = 0;
    const result = await probeWith(
      (_, response) => {
        calls += 1;
        response.end();
      },
      {},
      {},
      { ...key, header: () => Promise.reject(new GatewayError('upstream_auth')) },
    );
    expect(result).toMatchObject({ ok: false, status: 0, failure: { kind: 'auth' } });
    expect(calls).toBe(0);
  });
});
