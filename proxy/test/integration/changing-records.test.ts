import type { ServerResponse } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import type { KeyRecord, Records } from '@aigateway/contract/records';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chatBody,
  keyRecord,
  noCredential,
  ownUpstream,
  startGatewayUnderTest,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';
import { startServer, type TestServer } from '../upstream/server.ts';

let gateway: GatewayUnderTest;
let upstream: TestServer;
/** Which deployment each request went to. */
const served: string[] = [];
const held: ServerResponse[] = [];

const chunk = 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n';
const finish =
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';

beforeAll(async () => {
  upstream = await startServer((request, response) => {
    if (request.method === 'GET') return void response.end();
    void textOf(request).then((body) => {
      served.push(request.url?.split('/')[1] ?? '');
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk);
      if (body.includes('hold')) held.push(response);
      else response.end(finish);
    });
  });
  gateway = await startGatewayUnderTest({
    deployments: names.map((name) =>
      ownUpstream(upstream.origin, 'm', {
        id: name,
        resource: { id: name, origin: upstream.origin, basePath: `/${name}/v1` },
      }),
    ),
    credentials: [noCredential(upstream.origin)],
    router: { retries: 0, coolDownMs: 0 },
    options: { logLevel: 'warn' },
  });
});
afterAll(async () => {
  await gateway.close();
  await upstream.close();
});

const names = ['one', 'two', 'three'];
const models = ['a', 'b'];
const secretOf = (keyId: string, generation: number) =>
  `sk-${keyId}-${generation}-0123456789abcdef`;

type Key = {
  readonly models: readonly string[];
  readonly blocked: boolean;
  readonly generation: number;
};
/** What holds: keys by their ids, and which model each deployment is of, if it is there at all. */
type World = { keys: Map<string, Key>; modelOf: readonly (string | undefined)[] };

function recordOf(keyId: string, key: Key): KeyRecord {
  return keyRecord({
    keyId,
    secret: secretOf(keyId, key.generation),
    models: [...key.models],
    blocked: key.blocked,
  });
}

function deploymentsOf({ modelOf }: World): Records['deployments'] {
  return gateway.records.deployments.flatMap((record, index) => {
    const model = modelOf[index];
    return model === undefined ? [] : [{ ...record, model }];
  });
}

function expectedStatus({ keys, modelOf }: World, { keyId, generation, model }: Call): number {
  const key = keys.get(keyId);
  if (key === undefined || key.generation !== generation || key.blocked) return 401;
  const isRestricted = key.models.length > 0;
  const isThere = modelOf.includes(model) && (!isRestricted || key.models.includes(model));
  // Which models there are is not told to a key that may use some of them.
  return isThere ? 200 : isRestricted ? 403 : 404;
}

const keyId = fc.constantFrom('p', 'q');
const generation = fc.nat(1);
const key: fc.Arbitrary<Key> = fc.record({
  models: fc.subarray(models),
  blocked: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  generation,
});
const modelOf = fc.tuple(...names.map(() => fc.constantFrom('a', 'a', 'b', undefined)));
const call = fc.record({
  keyId,
  generation,
  model: fc.constantFrom(...models),
  holds: fc.boolean(),
});
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('call'), call }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('key'), keyId, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('no key'), keyId }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('catalogue'), modelOf }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('all'), modelOf, keyId, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end') }) },
) as fc.Arbitrary<Step>;
type Step =
  | { kind: 'call'; call: Call }
  | { kind: 'key'; keyId: string; key: Key }
  | { kind: 'no key'; keyId: string }
  | { kind: 'catalogue'; modelOf: World['modelOf'] }
  | { kind: 'all'; modelOf: World['modelOf']; keyId: string; key: Key }
  | { kind: 'end' };

let revision = 1;

/** Changes what the proxy knows, one thing or all of it, and the model of it. */
function change(world: World, given: Exclude<Step, { kind: 'call' | 'end' }>): void {
  revision += 1;
  if (given.kind === 'key' || given.kind === 'no key') {
    const known = given.kind === 'key' ? given.key : undefined;
    if (known === undefined) world.keys.delete(given.keyId);
    else world.keys.set(given.keyId, known);
    const record = known && recordOf(given.keyId, known);
    gateway.proxy.apply({ kind: 'key', revision, keyId: given.keyId, key: record });
    return;
  }
  world.modelOf = given.modelOf;
  if (given.kind === 'all') world.keys = new Map([[given.keyId, given.key]]);
  const { keys: _keys, holders: _holders, schemaVersion: _version, ...catalogue } = gateway.records;
  const next = { ...catalogue, revision, deployments: deploymentsOf(world) };
  if (given.kind === 'catalogue') {
    gateway.proxy.apply({ kind: 'catalogue', revision, catalogue: next });
    return;
  }
  const keys = [...world.keys].map(([id, one]) => recordOf(id, one));
  gateway.proxy.update({ ...gateway.records, ...next, keys });
}

describe('whatever changes, one by one or all at once', () => {
  it('the next call goes by what holds then, and what is under way ends as it began', async () => {
    const seen = new Set<number>();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const world: World = { keys: new Map(), modelOf: ['a', 'b', undefined] };
        change(world, {
          kind: 'all',
          modelOf: world.modelOf,
          keyId: 'p',
          key: { models: [], blocked: false, generation: 0 },
        });
        const underWay: Promise<string>[] = [];
        const endAll = async () => {
          for (const response of held.splice(0)) response.end(finish);
          for (const text of await Promise.all(underWay.splice(0)))
            expect(text).toBe(chunk + finish);
        };
        for (const given of steps) {
          if (given.kind === 'end') await endAll();
          else if (given.kind !== 'call') change(world, given);
          else {
            const { model, holds } = given.call;
            const response = await gateway.call(
              '/v1/chat/completions',
              chatBody(model, holds ? 'hold' : 'x', { stream: true }),
              { key: secretOf(given.call.keyId, given.call.generation) },
            );
            const expected = expectedStatus(world, given.call);
            expect(response.status).toBe(expected);
            seen.add(expected);
            if (expected !== 200) {
              await response.text();
              continue;
            }
            expect(world.modelOf[names.indexOf(served.at(-1) ?? '')]).toBe(model);
            if (holds) underWay.push(response.text());
            else expect(await response.text()).toBe(chunk + finish);
          }
        }
        await endAll();
      }),
      { numRuns: 150 },
    );
    expect(seen).toEqual(new Set([200, 401, 403, 404]));
    expect(gateway.log()).not.toContain('"level":"error"');
  });
});
