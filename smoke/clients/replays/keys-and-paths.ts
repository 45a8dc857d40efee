import { describe, expect, it } from 'vitest';
import { exchange } from '../../simulator/exchange.ts';
import type { JsonObject } from '../../simulator/json.ts';
import { canary } from '../harness.ts';
import { models } from '../simulated-azure.ts';
import { hello, lastServed, post } from './replay.ts';
import type { StageOf } from './replay.ts';

/** Every header in which some client sends its key, and the pairs that some send together. */
const keyHeaders: readonly { name: string; headers: (key: string) => Record<string, string> }[] = [
  { name: 'authorization', headers: (key) => ({ authorization: `Bearer ${key}` }) },
  { name: 'api-key', headers: (key) => ({ 'api-key': key }) },
  { name: 'x-api-key', headers: (key) => ({ 'x-api-key': key }) },
  { name: 'x-litellm-api-key', headers: (key) => ({ 'x-litellm-api-key': key }) },
  {
    name: 'authorization and api-key',
    headers: (key) => ({ authorization: `Bearer ${key}`, 'api-key': key }),
  },
  {
    name: 'authorization and x-api-key',
    headers: (key) => ({ authorization: `Bearer ${key}`, 'x-api-key': key }),
  },
];

const chat = { messages: [{ role: 'user', content: hello }] };
const azureVersion = 'api-version=2024-10-21';

/** Paths of each operation as some client spells them, with a body for it. */
const calls: readonly { path: string; body: JsonObject }[] = [
  ...['/v1', '', '/openai/v1', '/v1/v1', '/openai/v1/v1', '/models'].map((prefix) => ({
    path: `${prefix}/chat/completions`,
    body: { ...chat, model: models.plain },
  })),
  ...['/openai', '', '/v1', '/openai/openai'].map((prefix) => ({
    path: `${prefix}/deployments/${models.plain}/chat/completions?${azureVersion}`,
    body: chat,
  })),
  {
    // The name in the path wins.
    path: `/openai/deployments/${models.plain}/chat/completions?${azureVersion}`,
    body: { ...chat, model: 'some-other-name' },
  },
  { path: `//v1//chat/completions/`, body: { ...chat, model: models.plain } },
  { path: `/v1/chat/completions?api-version=preview`, body: { ...chat, model: models.plain } },
  ...['/v1', '', '/openai/v1', '/v1/v1', '/openai'].map((prefix) => ({
    path: `${prefix}/responses`,
    body: { model: models.codex, input: hello },
  })),
  {
    path: `/openai/responses?api-version=2025-04-01-preview`,
    body: { model: models.codex, input: hello },
  },
  { path: `/openai/deployments/${models.codex}/responses?${azureVersion}`, body: { input: hello } },
  ...['/v1', '', '/openai/v1'].map((prefix) => ({
    path: `${prefix}/embeddings`,
    body: { model: models.embeddings, input: hello },
  })),
  {
    path: `/openai/deployments/${models.embeddings}/embeddings?${azureVersion}`,
    body: { input: [hello] },
  },
  { path: '/v1/completions', body: { model: models.completions, prompt: hello } },
  {
    path: `/openai/deployments/${models.completions}/completions?${azureVersion}`,
    body: { prompt: hello },
  },
];

const views = [
  '/v1/models',
  '/models',
  '/openai/models',
  '/openai/v1/models',
  '/v1/model/info',
  '/model/info',
  '/model_group/info',
];

/** Every way in which the clients spell their keys and the paths they call. */
export function keysAndPaths(stage: StageOf): void {
  describe.each(keyHeaders)('a key in $name (replay)', ({ headers }) => {
    it.each(calls)('is taken by POST $path', async ({ path, body }) => {
      await post(stage().url + path, headers(stage().key), body);
      const served = lastServed(stage());
      expect(Object.values(served.headers).join(' ')).not.toContain(stage().key);
      expect(served.headers['api-key']).toMatch(/^azure-key-of-/);
    });

    it.each(views)('is taken by GET %s', async (path) => {
      const answer = await exchange(stage().url + path, { headers: headers(stage().key) });
      expect(answer.status).toBe(200);
      expect((answer.body['data'] as JsonObject[]).length).toBeGreaterThan(0);
    });

    it('is refused by every path when it is wrong, in the words of an error', async () => {
      const wrong = headers('sk-nobody-knows-this-key');
      for (const { path, body } of calls) {
        const answer = await exchange(stage().url + path, { headers: wrong, json: body });
        expect({ path, status: answer.status }).toEqual({ path, status: 401 });
        expect(answer.body['error']).toMatchObject({
          message: expect.any(String) as string,
          type: expect.any(String) as string,
        });
      }
      for (const path of views) {
        expect((await exchange(stage().url + path, { headers: wrong })).status).toBe(401);
      }
    });
  });

  describe('a body (replay)', () => {
    it('of several megabytes beyond ASCII arrives as it was', async () => {
      const text = `${canary} ${'Größe — 尺寸 📏 '.repeat(120_000)}`;
      // It is longer than any model takes: what counts is that the upstream saw all of it.
      const answer = await exchange(`${stage().v1}/chat/completions`, {
        headers: { authorization: `Bearer ${stage().key}` },
        json: { model: models.plain, messages: [{ role: 'user', content: text }] },
      });
      expect(answer.status).toBe(400);
      const seen = stage().modelCalls().at(-1)?.body as { messages: { content: string }[] };
      expect(seen.messages[0]?.content).toBe(text);
    });
  });
}
