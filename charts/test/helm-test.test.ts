import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readChartFile } from './render.ts';

let server: Server;
let url: string;
let answers: { [path: string]: [number, string] };
let keys: (string | undefined)[];

beforeEach(async () => {
  keys = [];
  server = createServer((request, response) => {
    const [status, body] = answers[request.url ?? ''] ?? [404, ''];
    keys.push(request.headers.authorization);
    response.writeHead(status).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => server.close());

/** Runs what `helm test` runs, as the pod does. */
async function exitCode(environment: { [name: string]: string }): Promise<number> {
  const args = ['--input-type=module', '--eval', readChartFile('files/test.mjs')];
  const child = spawn(process.execPath, args, { env: environment, stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number];
  return code;
}

const models = JSON.stringify({ object: 'list', data: [{ id: 'answers' }] });

it('passes with a gateway that is ready and has models for the key', async () => {
  answers = { '/readyz': [200, 'ready'], '/v1/models': [200, models] };
  const both = { READY_URL: `${url}/readyz`, MODELS_URL: `${url}/v1/models`, CALLER_KEY: 'sk-1' };
  expect(await exitCode(both)).toBe(0);
  expect(keys).toEqual([undefined, 'Bearer sk-1']);
});

it.each([
  ['is not ready', { '/readyz': [503, 'no records yet'], '/v1/models': [200, models] }],
  ['refuses the key', { '/readyz': [200, 'ready'], '/v1/models': [401, '{}'] }],
  ['has no models', { '/readyz': [200, 'ready'], '/v1/models': [200, '{"data":[]}'] }],
] as [string, typeof answers][])('fails with a gateway that %s', async (_what, given) => {
  answers = given;
  const both = { READY_URL: `${url}/readyz`, MODELS_URL: `${url}/v1/models`, CALLER_KEY: 'sk-1' };
  expect(await exitCode(both)).not.toBe(0);
});

it('asks for no models where it has no key', async () => {
  answers = { '/readyz': [200, 'ready'] };
  expect(await exitCode({ READY_URL: `${url}/readyz` })).toBe(0);
  expect(keys).toEqual([undefined]);
});
