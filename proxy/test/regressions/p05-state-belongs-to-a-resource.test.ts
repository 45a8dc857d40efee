import type { DeploymentRecord, KeyRecord } from '@aigateway/contract/records';
import OpenAI from 'openai';
import type {
  Response as OpenAIResponse,
  ResponseInputItem,
} from 'openai/resources/responses/responses';
import { afterEach, describe, expect, it } from 'vitest';
import {
  callerKey,
  keyRecord,
  readEvents,
  responsesBody,
  startGatewayUnderTest,
  stillClock,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const resources = ['east', 'north', 'west'];
const otherKey = 'sk-other-0123456789abcdef';
const colleagueKey = 'sk-colleague-0123456789abcdef';

let gateway: GatewayUnderTest;
afterEach(() => gateway.close());

function start(spec: Partial<GatewaySpec> & { visibilityDelayMs?: number } = {}) {
  const keys: KeyRecord[] = [
    keyRecord({ ownerId: 'team-a' }),
    keyRecord({ keyId: 'colleague', secret: colleagueKey, ownerId: 'team-a' }),
    keyRecord({ keyId: 'other', secret: otherKey, ownerId: 'team-b' }),
  ];
  return startGatewayUnderTest({
    simulator: {
      itemVisibilityDelayMs: spec.visibilityDelayMs ?? 0,
      resources: resources.map((name) => ({
        name,
        keys: [`${name}-key`],
        deployments: [{ name: 'gpt-5', model: 'gpt-5' }],
      })),
    },
    deployments: resources.map((resourceName) => ({ resourceName, deployment: 'gpt-5' })),
    router: { strategy: 'round-robin' },
    keys,
    ...spec,
  });
}

function client(url = gateway.url, apiKey = callerKey): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
}

/** What a client without stored state sends back. */
function asInput({ output }: OpenAIResponse): ResponseInputItem[] {
  return output as ResponseInputItem[];
}

function homeOf(response: { output_text: string }): string {
  return /\[(\w+)\//.exec(response.output_text)?.[1] ?? 'unknown';
}

/** The resources that saw model calls since `from`. */
function servers(from = 0): (string | undefined)[] {
  return gateway.simulator
    .requests()
    .filter(({ sequence, operation }) => sequence > from && operation?.startsWith('responses'))
    .map(({ resource }) => resource);
}

/** Every status that a model call got. */
function statuses(): Set<string> {
  const { by } = gateway.simulator.counters();
  return new Set(
    Object.entries(by).flatMap(([name, counter]) =>
      name.endsWith('/responses') ? Object.keys(counter.statuses) : [],
    ),
  );
}

function lastSequence(): number {
  return gateway.simulator.requests().at(-1)?.sequence ?? 0;
}

describe('a session', () => {
  it('stays with the resource that holds its stored responses', async () => {
    gateway = await start();
    for (let session = 0; session < 6; session += 1) {
      let turn = await client().responses.create({ model: 'gpt-5', input: `session ${session}` });
      const home = homeOf(turn);
      for (let index = 0; index < 4; index += 1) {
        turn = await client().responses.create({
          model: 'gpt-5',
          input: `turn ${index}`,
          previous_response_id: turn.id,
        });
        expect(homeOf(turn)).toBe(home);
      }
    }
    expect(new Set(servers()).size).toBe(3);
    expect(statuses()).toEqual(new Set(['200']));
  });

  it('stays with the resource that encrypted its reasoning, without anything stored', async () => {
    gateway = await start();
    for (let session = 0; session < 6; session += 1) {
      const input: ResponseInputItem[] = [{ role: 'user', content: `session ${session}` }];
      let home: string | undefined;
      for (let index = 0; index < 4; index += 1) {
        const turn: OpenAIResponse = await client().responses.create({
          model: 'gpt-5',
          input,
          store: false,
          include: ['reasoning.encrypted_content'],
          reasoning: { effort: 'high' },
        });
        home ??= homeOf(turn);
        expect(homeOf(turn)).toBe(home);
        expect(turn.output.some(({ type }) => type === 'reasoning')).toBe(true);
        input.push(...asInput(turn), { role: 'user', content: `turn ${index}` });
      }
    }
    expect(new Set(servers()).size).toBe(3);
    expect(statuses()).toEqual(new Set(['200']));
  });

  it('stays with the resource of an item reference', async () => {
    gateway = await start();
    const first = await client().responses.create({ model: 'gpt-5', input: 'refer to me' });
    const [item] = first.output.filter(({ type }) => type === 'message');
    for (let index = 0; index < 3; index += 1) {
      const next = await client().responses.create({
        model: 'gpt-5',
        input: [
          { type: 'item_reference', id: item?.id ?? '' },
          { role: 'user', content: 'and now' },
        ],
      });
      expect(homeOf(next)).toBe(homeOf(first));
    }
  });

  it('comes home from another replica, and after a restart', async () => {
    gateway = await start();
    const first = await client().responses.create({ model: 'gpt-5', input: 'here' });
    const replica = await gateway.startReplica();
    for (const url of [replica.url, gateway.url]) {
      for (let index = 0; index < 3; index += 1) {
        const next = await client(url).responses.create({
          model: 'gpt-5',
          input: 'there',
          previous_response_id: first.id,
        });
        expect(homeOf(next)).toBe(homeOf(first));
      }
      expect((await client(url).responses.retrieve(first.id)).output_text).toBe(first.output_text);
    }
  });

  it('is shared by the keys of one team', async () => {
    gateway = await start();
    const first = await client().responses.create({ model: 'gpt-5', input: 'ours' });
    const colleague = client(gateway.url, colleagueKey);
    expect((await colleague.responses.retrieve(first.id)).id).toBe(first.id);
  });

  it('goes on after its stream, with the ids that the stream handed out', async () => {
    gateway = await start();
    for (let index = 0; index < 3; index += 1) {
      const streamed = await client()
        .responses.stream({ model: 'gpt-5', input: 'streamed' })
        .finalResponse();
      const next = await client().responses.create({
        model: 'gpt-5',
        input: 'next',
        previous_response_id: streamed.id,
      });
      expect(homeOf(next)).toBe(homeOf(streamed));
    }
  });

  it('finds what was stored a moment ago', async () => {
    gateway = await start({ visibilityDelayMs: 100 });
    const first = await client().responses.create({ model: 'gpt-5', input: 'quick' });
    const next = await client().responses.create({
      model: 'gpt-5',
      input: 'quicker',
      previous_response_id: first.id,
    });
    expect(homeOf(next)).toBe(homeOf(first));
    expect(gateway.usage).toHaveLength(2);
  });
});

describe('an id', () => {
  const stranger = () => client(gateway.url, otherKey);

  it('of another tenant answers in the words of an unknown one', async () => {
    gateway = await start();
    const mine = await client().responses.create({ model: 'gpt-5', input: 'mine' });
    const unknown = mine.id.replace(/.{6}$/, 'ffffff');
    const untagged = 'resp_0123456789abcdef0123456789abcdef';
    const before = lastSequence();
    for (const [method, suffix] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/cancel'],
      ['GET', '/input_items'],
    ] as const) {
      const answers = await Promise.all(
        [mine.id, unknown, untagged].map(async (id) => {
          const path = `/v1/responses/${id}${suffix}`;
          const response = await gateway.call(path, undefined, { method, key: otherKey });
          const text = await response.text();
          return { status: response.status, text: text.replaceAll(id, 'ID') };
        }),
      );
      expect(answers[0]?.status).toBe(404);
      expect(answers[1]).toEqual(answers[0]);
      expect(answers[2]).toEqual(answers[0]);
    }
    for (const id of [mine.id, unknown, untagged]) {
      await expect(
        stranger().responses.create({ model: 'gpt-5', input: 'x', previous_response_id: id }),
      ).rejects.toMatchObject({ status: 404, param: 'previous_response_id' });
      await expect(
        stranger().responses.create({ model: 'gpt-5', input: [{ type: 'item_reference', id }] }),
      ).rejects.toMatchObject({ status: 404 });
    }
    expect(servers(before)).toEqual([]);
  });

  it('leads reading, listing, cancelling and deleting to its home', async () => {
    gateway = await start();
    for (let index = 0; index < 3; index += 1) {
      const made = await client().responses.create({
        model: 'gpt-5',
        input: 'in the background',
        background: true,
      });
      expect(['queued', 'in_progress']).toContain(made.status);
      const home = servers().at(-1);
      const before = lastSequence();
      expect((await client().responses.retrieve(made.id)).id).toBe(made.id);
      const items = await client().responses.inputItems.list(made.id);
      expect(items.data[0]?.id).toContain('agw_');
      expect((await client().responses.cancel(made.id)).status).toBe('cancelled');
      await client().responses.delete(made.id);
      expect(new Set(servers(before))).toEqual(new Set([home]));
      await expect(client().responses.retrieve(made.id)).rejects.toMatchObject({ status: 404 });
    }
  });

  it('that is gone is refused in the words of its home, with the id that the caller knows', async () => {
    gateway = await start();
    const made = await client().responses.create({ model: 'gpt-5', input: 'gone soon' });
    await client().responses.delete(made.id);
    const next = { previous_response_id: made.id };
    for (const [method, path, body] of [
      ['GET', `/v1/responses/${made.id}`],
      ['DELETE', `/v1/responses/${made.id}`],
      ['POST', '/v1/responses', JSON.stringify(responsesBody('gpt-5', 'go on', next))],
    ] as const) {
      const response = await gateway.call(path, body, { method });
      expect([400, 404]).toContain(response.status);
      const { error } = (await response.json()) as { error: { message: string } };
      expect(error.message).toContain(`esponse with id '${made.id}' not found.`);
    }
  });

  it('leads home by any deployment of the resource that takes calls', async () => {
    gateway = await start();
    const made = await client().responses.create({ model: 'gpt-5', input: 'read me' });
    const home = gateway.records.deployments.find(({ resource }) => resource.id === homeOf(made));
    const { deployments } = gateway.records;
    if (home === undefined) throw new Error('the answer names no resource');
    gateway.proxy.update({
      ...gateway.records,
      deployments: [
        ...deployments.map((record) => (record === home ? { ...record, blocked: true } : record)),
        { ...home, id: 'another', model: 'another' },
      ],
    });
    expect((await client().responses.retrieve(made.id)).id).toBe(made.id);
  });

  it('leads home by a deployment whose api-version is older than the Responses API', async () => {
    const classic: Partial<DeploymentRecord> = { dialect: 'classic', apiVersion: '2024-10-21' };
    gateway = await startGatewayUnderTest({
      simulator: {
        resources: [
          {
            name: 'east',
            keys: ['east-key'],
            deployments: [
              { name: 'gpt-4o', model: 'gpt-4o' },
              { name: 'gpt-5', model: 'gpt-5' },
            ],
          },
        ],
      },
      deployments: [
        { resourceName: 'east', deployment: 'gpt-4o', ...classic },
        { resourceName: 'east', deployment: 'gpt-5' },
      ],
    });
    const made = await client().responses.create({ model: 'gpt-5', input: 'read me' });
    expect((await client().responses.retrieve(made.id)).id).toBe(made.id);
    expect((await client().responses.inputItems.list(made.id)).data).toHaveLength(1);
    await client().responses.delete(made.id);
  });

  it('of a background response is polled to its end', async () => {
    gateway = await start();
    const made = await client().responses.create({
      model: 'gpt-5',
      input: 'long work',
      background: true,
    });
    gateway.simulator.advance(5000);
    const done = await client().responses.retrieve(made.id);
    expect(done.status).toBe('completed');
    expect(done.output_text).toContain('long work');
  });

  it('costs nothing to read', async () => {
    gateway = await start();
    const made = await client().responses.create({ model: 'gpt-5', input: 'read me' });
    await client().responses.retrieve(made.id);
    await client().responses.inputItems.list(made.id);
    const counted = await gateway.call(
      '/v1/responses/input_tokens',
      responsesBody('gpt-5', 'count'),
    );
    expect(counted.status).toBe(200);
    expect(gateway.usage).toHaveLength(4);
    for (const record of gateway.usage.slice(1)) {
      expect(record).toMatchObject({
        usageSource: 'none',
        costNanoUsd: 0,
        tokens: { input: 0, output: 0 },
      });
    }
  });
});

describe('a resource that is lost in the middle of sessions', () => {
  it('costs no session a failure: its state is left out once, and a header says so', async () => {
    gateway = await start({ router: { strategy: 'round-robin', coolDownMs: 60_000 } });
    const sessions = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const input: ResponseInputItem[] = [{ role: 'user', content: `session ${index}` }];
        const turn = await client().responses.create({
          model: 'gpt-5',
          input,
          include: ['reasoning.encrypted_content'],
          reasoning: { effort: 'low' },
          store: index % 2 === 0,
        });
        return { input, turn, home: homeOf(turn), isStored: index % 2 === 0 };
      }),
    );
    const lost = sessions.filter(({ home }) => home === 'east');
    expect(lost.length).toBeGreaterThan(20);
    gateway.simulator.fault({ kind: 'reset', resource: 'east' });
    const turns = await Promise.all(
      sessions.map(async ({ input, turn, home, isStored }) => {
        const { data, response } = await client()
          .responses.create({
            model: 'gpt-5',
            reasoning: { effort: 'low' },
            ...(isStored
              ? { input: 'go on', previous_response_id: turn.id }
              : {
                  input: [...input, ...asInput(turn), { role: 'user' as const, content: 'go on' }],
                  store: false,
                  include: ['reasoning.encrypted_content' as const],
                }),
          })
          .withResponse();
        return { home, data, changes: response.headers.get('x-aigateway-changes') ?? '', isStored };
      }),
    );
    for (const { home, data, changes, isStored } of turns) {
      expect(data.output_text).toContain('go on');
      if (home === 'east') {
        expect(homeOf(data)).not.toBe('east');
        expect(changes).toContain(isStored ? '-previous_response_id' : '-reasoning');
      } else {
        expect(homeOf(data)).toBe(home);
        expect(changes).not.toContain('-previous_response_id');
      }
    }
    expect(gateway.usage.every(({ outcome }) => outcome === 'completed')).toBe(true);
  });

  it('is not waited for when another can go on with every word of the session', async () => {
    // With this clock a rest never ends: whoever waits for it waits for longer than a test may take.
    gateway = await start({
      router: { strategy: 'round-robin', coolDownMs: 300_000 },
      pipeline: { longestWaitMs: 600_000 },
      ports: { clock: stillClock(), random: () => 0 },
    });
    const question: ResponseInputItem = { role: 'user', content: 'think' };
    const turn = await client().responses.create({
      model: 'gpt-5',
      input: [question],
      store: false,
      include: ['reasoning.encrypted_content'],
      reasoning: { effort: 'low' },
    });
    const home = homeOf(turn);
    gateway.simulator.fault({ kind: 'error', error: '500-internal', resource: home });
    for (let index = 0; index < 2; index += 1) {
      const { data, response } = await client()
        .responses.create({
          model: 'gpt-5',
          input: [question, ...asInput(turn), { role: 'user', content: 'go on' }],
          store: false,
        })
        .withResponse();
      expect(homeOf(data)).not.toBe(home);
      expect(response.headers.get('x-aigateway-changes')).toBe('-reasoning, -id');
    }
    expect(gateway.simulator.counters().by[`${home}/gpt-5/responses`]?.statuses).toEqual({
      200: 1,
      500: 3,
    });
  });

  it('is the same when it was taken out of the configuration', async () => {
    gateway = await start();
    const first = await client().responses.create({ model: 'gpt-5', input: 'here today' });
    const home = homeOf(first);
    gateway.proxy.update({
      ...gateway.records,
      deployments: gateway.records.deployments.filter(({ resource }) => resource.id !== home),
    });
    const { data, response } = await client()
      .responses.create({ model: 'gpt-5', input: 'gone', previous_response_id: first.id })
      .withResponse();
    expect(homeOf(data)).not.toBe(home);
    expect(response.headers.get('x-aigateway-changes')).toContain('-previous_response_id');
    await expect(client().responses.retrieve(first.id)).rejects.toMatchObject({ status: 404 });
  });

  it('is waited for when it is only throttled for a moment', async () => {
    gateway = await start();
    const first = await client().responses.create({ model: 'gpt-5', input: 'busy soon' });
    const home = homeOf(first);
    gateway.simulator.fault({ kind: 'rate-limit', retryAfterMs: 200, resource: home, times: 1 });
    const next = await client().responses.create({
      model: 'gpt-5',
      input: 'please',
      previous_response_id: first.id,
    });
    expect(homeOf(next)).toBe(home);
  });

  it('keeps its sessions when it is throttled for long: the caller is told when to come back', async () => {
    gateway = await start({ ports: { clock: stillClock() } });
    const first = await client().responses.create({ model: 'gpt-5', input: 'busy for long' });
    gateway.simulator.fault({
      kind: 'rate-limit',
      retryAfterMs: 30_000,
      resource: homeOf(first),
    });
    const body = responsesBody('gpt-5', 'please', { previous_response_id: first.id });
    for (let index = 0; index < 2; index += 1) {
      const refused = await gateway.call('/v1/responses', body);
      expect(refused.status).toBe(429);
      expect(refused.headers.get('retry-after-ms')).toBe('30000');
    }
  });
});

describe('encrypted reasoning that no resource can read', () => {
  it('is left out and the call is made once more, and a header says so', async () => {
    gateway = await start();
    const reasoning = {
      type: 'reasoning',
      id: 'rs_made_before_this_gateway',
      summary: [],
      encrypted_content: 'gAAAA-not-of-any-of-these-resources',
    };
    const response = await gateway.call('/v1/responses', {
      model: 'gpt-5',
      store: false,
      input: [
        { role: 'user', content: 'one' },
        reasoning,
        { role: 'assistant', content: 'two' },
        { role: 'user', content: 'three' },
      ],
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('x-aigateway-changes')).toContain('-reasoning');
    expect(gateway.usage[0]?.attempts).toMatchObject([
      { status: 400, reason: 'encrypted_content' },
      { status: 200 },
    ]);
  });

  it('is given back byte for byte to the resource that made it, stream and whole', async () => {
    gateway = await start();
    const body = {
      ...responsesBody('gpt-5', 'think'),
      store: false,
      include: ['reasoning.encrypted_content'],
      reasoning: { effort: 'high' },
    };
    const whole = (await (await gateway.call('/v1/responses', body)).json()) as OpenAIResponse;
    const events = await readEvents(await gateway.call('/v1/responses', { ...body, stream: true }));
    const { response: streamed } = JSON.parse(events.at(-1)?.data ?? '{}') as {
      response: OpenAIResponse;
    };
    for (const { output } of [whole, streamed]) {
      const next = await gateway.call('/v1/responses', {
        model: 'gpt-5',
        store: false,
        input: [{ role: 'user', content: 'think' }, ...output, { role: 'user', content: 'more' }],
      });
      expect(next.status).toBe(200);
      expect(next.headers.get('x-aigateway-changes') ?? '').not.toContain('-reasoning');
      await next.text();
    }
  });
});
