import { afterEach, describe, expect, it } from 'vitest';
import {
  adminKey,
  callerKey,
  chatBody,
  keyRecord,
  responsesBody,
  startGatewayUnderTest,
  type GatewaySpec,
  type GatewayUnderTest,
} from '../gateway-under-test.ts';

const phrase = 'a phrase to be found again';
const secret = 'sk-in-a-prompt-0123456789';
const address = 'jane.doe@mail.example';
const prompt = `${phrase}, my key is ${secret}, write to ${address}`;
const silentKey = 'sk-silent-0123456789abcdef';

let gateway: GatewayUnderTest | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

async function start(spec: Partial<GatewaySpec> = {}): Promise<GatewayUnderTest> {
  gateway = await startGatewayUnderTest({
    simulator: {
      resources: [
        {
          name: 'east',
          keys: ['k'],
          deployments: ['gpt-4o', 'gpt-5.3-codex'].map((name) => ({ name, model: name })),
        },
      ],
    },
    deployments: ['gpt-4o', 'gpt-5.3-codex'].map((deployment) => ({
      resourceName: 'east',
      deployment,
    })),
    keys: [
      keyRecord({ logsMessages: true, alias: 'debugged' }),
      keyRecord({ keyId: 'silent', secret: silentKey }),
      keyRecord({ keyId: 'admin', secret: adminKey, role: 'admin' }),
    ],
    settings: { messageLogging: { maxLength: 16_384 } },
    ...spec,
  });
  return gateway;
}

type Line = {
  event: string;
  requestId: string;
  request?: string;
  response?: string;
  [field: string]: unknown;
};

/** Ends the gateway, so that everything is written, and gives its lines. */
async function linesOf(under: GatewayUnderTest): Promise<Line[]> {
  gateway = undefined;
  await under.close();
  const lines = under
    .log()
    .split('\n')
    .filter((line) => line !== '');
  const parsed = lines.map((line) => JSON.parse(line) as Line);
  // Content stands in lines of its own alone, secrets in none.
  for (const [index, { event }] of parsed.entries())
    if (event !== 'messages') expect(lines[index]).not.toContain('phrase');
  for (const hidden of [secret, address]) expect(under.log()).not.toContain(hidden);
  return parsed;
}

async function messagesOf(under: GatewayUnderTest): Promise<Line[]> {
  return (await linesOf(under)).filter(({ event }) => event === 'messages');
}

const ask = async (under: GatewayUnderTest, key = callerKey, extra = {}) => {
  const answer = await under.call('/v1/chat/completions', chatBody('gpt-4o', prompt, extra), {
    key,
  });
  await answer.text();
  return answer;
};

describe('content of calls', () => {
  it.each([
    ['the configuration does not allow it', {}],
    ['the key has not chosen it', { settings: { messageLogging: { maxLength: 1000 } } }],
  ])('is in no line where %s', async (_, spec) => {
    const under = await start({ settings: {}, ...spec });
    await ask(under, 'settings' in spec ? silentKey : callerKey);
    await ask(under, 'settings' in spec ? silentKey : callerKey, { stream: true });
    const lines = await linesOf(under);
    expect(lines.map(({ event }) => event)).toEqual(['call', 'call']);
  });

  it('is an event of its own where both do, without secrets and addresses', async () => {
    const under = await start();
    const answer = await ask(under);
    await ask(under, silentKey);
    const [messages, ...others] = await messagesOf(under);
    expect(others).toEqual([]);
    expect(messages).toMatchObject({
      level: 'info',
      requestId: answer.headers.get('x-request-id'),
      keyId: 'caller',
      keyAlias: 'debugged',
      endpoint: 'chat',
      model: 'gpt-4o',
      stream: false,
      status: 200,
    });
    expect(JSON.parse(messages?.request ?? '')).toEqual(
      chatBody('gpt-4o', `${phrase}, my key is [redacted], write to [redacted]`),
    );
    // The simulator repeats what was asked.
    const { choices } = JSON.parse(messages?.response ?? '') as {
      choices: [{ message: { content: string } }];
    };
    expect(choices[0].message.content).toContain(
      `${phrase}, my key is [redacted], write to [redacted]`,
    );
    expect(messages).not.toHaveProperty('requestCut');
    expect(messages).not.toHaveProperty('responseCut');
  });

  it.each([
    ['chat', '/v1/chat/completions', 'gpt-4o'],
    ['chat, bridged', '/v1/chat/completions', 'gpt-5.3-codex'],
    ['responses', '/v1/responses', 'gpt-5.3-codex'],
  ])('of a stream is put together before it is redacted: %s', async (_, path, model) => {
    const under = await start();
    // Pieces of four tokens split key and address, and so does the network.
    const body = path.endsWith('responses')
      ? responsesBody(model, prompt)
      : chatBody(model, prompt);
    const answer = await under.call(path, { ...body, stream: true });
    const sent = await answer.text();
    const [messages] = await messagesOf(under);
    expect(messages?.response).toContain(`${phrase}, my key is [redacted]`);
    expect(messages).toMatchObject({ stream: true, responseBytes: Buffer.byteLength(sent) });
    expect(messages).not.toHaveProperty('responseCut');
  });

  it('of a stream that broke off ends before what may be the beginning of a secret', async () => {
    const under = await start();
    const body = chatBody(
      'gpt-4o',
      '[SIM:say one two three four sk-0123456789 and more words] [SIM:fault cut 2]',
    );
    await (await under.call('/v1/chat/completions', { ...body, stream: true })).text();
    const [messages] = await messagesOf(under);
    expect(messages).toMatchObject({ responseCut: true });
    expect(messages?.response).toContain('one two');
    expect(messages?.response).toContain('stream_interrupted');
    expect(messages?.response).not.toContain('sk-0');
  });

  it('is cut at its limit, each body for itself', async () => {
    const under = await start({ settings: { messageLogging: { maxLength: 300 } } });
    const long = chatBody('gpt-4o', `${'word '.repeat(4000)} [SIM:tokens 500]`);
    for (const stream of [false, true])
      await (await under.call('/v1/chat/completions', { ...long, stream })).text();
    const lines = await messagesOf(under);
    expect(lines).toHaveLength(2);
    for (const { request, requestBytes, requestCut, response, responseCut } of lines) {
      expect(request?.length).toBe(300);
      expect(requestBytes).toBeGreaterThan(20_000);
      expect(response?.length).toBeLessThanOrEqual(300);
      expect([requestCut, responseCut]).toEqual([true, true]);
    }
  });

  it('is not kept of calls that are refused before they are admitted', async () => {
    const under = await start();
    await ask(under, 'sk-unknown-0123456789abcdef');
    await under.call('/v1/chat/completions', chatBody('no-such-model', prompt));
    await under.call('/v1/chat/completions', `{"model":"gpt-4o","x":"${phrase}`);
    const lines = await linesOf(under);
    expect(lines.map(({ event }) => event)).toEqual(['refused', 'refused', 'refused']);
  });

  it('has what an upstream refused, and a stored response', async () => {
    const under = await start();
    const refused = chatBody('gpt-4o', `${phrase} [SIM:block-prompt]`);
    await (await under.call('/v1/chat/completions', refused)).text();
    const made = await under.call('/v1/responses', responsesBody('gpt-5.3-codex', prompt));
    const { id } = (await made.json()) as { id: string };
    await (await under.call(`/v1/responses/${id}`)).text();
    const [first, , stored] = await messagesOf(under);
    expect(first).toMatchObject({ status: 400 });
    expect(first?.response).toContain('content_filter');
    expect(stored).toMatchObject({ endpoint: 'responses.get', requestBytes: 0 });
    expect(stored).not.toHaveProperty('request');
    expect(stored?.response).toContain(phrase);
  });

  it('is no longer logged once the configuration says so, without a restart', async () => {
    const under = await start();
    const { settings, ...records } = under.records;
    const { messageLogging: _, ...off } = settings;
    under.proxy.update({ ...records, revision: 2, settings: off });
    await ask(under);
    expect(await messagesOf(under)).toEqual([]);
  });
});
