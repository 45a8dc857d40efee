import { describe, expect, it } from 'vitest';
import { exchange } from '../../simulator/exchange.ts';
import type { JsonObject } from '../../simulator/json.ts';
import { canary } from '../harness.ts';
import { settingsFor } from '../settings.ts';
import { models } from '../simulated-azure.ts';
import { readChatStream, readResponsesStream } from '../strict-stream.ts';
import { echo, hello, lastServed, pathSchema, post, readFileTool } from './replay.ts';
import type { StageOf } from './replay.ts';

type KiloOptions = { baseURL: string; apiKey: string; apiVersion?: string };
type KiloSettings = { provider: Record<string, { options: KiloOptions } | undefined> };

function kiloHeaders(session: string): Record<string, string> {
  return {
    'user-agent': 'Kilo-Code/7.7.7 ai-sdk/provider-utils/4.0.1 runtime/node.js/22',
    'http-referer': 'https://kilocode.ai',
    'x-title': 'Kilo Code',
    'x-session-id': session,
    'x-session-affinity': session,
  };
}

/** Replays of Kilo, built from recordings of the program. */
export function kilo(stage: StageOf): void {
  const optionsOf = (name: string): KiloOptions => {
    const { provider } = JSON.parse(settingsFor('kilo.json', stage())) as KiloSettings;
    const options = provider[name]?.options;
    if (options === undefined) throw new Error(`no provider ${name}`);
    return options;
  };

  describe('Kilo (replay)', () => {
    it.each([models.plain, models.reasoning, models.chatOnly, models.codex])(
      'streams a chat with %s',
      async (model) => {
        const { baseURL, apiKey } = optionsOf('gateway');
        const answer = await post(
          `${baseURL}/chat/completions`,
          { ...kiloHeaders('ses_chat'), authorization: `Bearer ${apiKey}` },
          {
            model,
            max_tokens: 32_000,
            messages: [
              { role: 'system', content: 'You are Kilo — “careful” and précis.' },
              { role: 'user', content: hello },
            ],
            tools: [readFileTool],
            tool_choice: 'auto',
            stream: true,
            stream_options: { include_usage: true },
          },
        );
        expect(readChatStream(answer.text)).toMatchObject({
          text: expect.stringContaining(echo) as string,
          usage: expect.any(Object) as object,
        });
      },
    );

    it.each([models.codex, models.reasoning, models.plain, models.chatOnly])(
      'streams a response of %s from items without a type',
      async (model) => {
        const { baseURL, apiKey } = optionsOf('gateway-responses');
        const answer = await post(
          `${baseURL}/responses`,
          { ...kiloHeaders('ses_responses'), authorization: `Bearer ${apiKey}` },
          {
            model,
            input: [
              { role: 'system', content: 'You are Kilo.' },
              { role: 'user', content: [{ type: 'input_text', text: hello }] },
            ],
            max_output_tokens: 32_000,
            store: false,
            prompt_cache_key: 'ses_responses',
            tools: [{ type: 'function', name: 'read_file', parameters: pathSchema, strict: false }],
            tool_choice: 'auto',
            stream: true,
          },
        );
        expect(readResponsesStream(answer.text).text).toContain(echo);
      },
    );

    it.each([models.codex, models.reasoning, models.plain, models.chatOnly])(
      'streams a response of %s from a path of a deployment, which Azure itself does not have',
      async (model) => {
        const { baseURL, apiKey, apiVersion } = optionsOf('gateway-azure');
        const answer = await post(
          `${baseURL}/deployments/${model}/responses?api-version=${apiVersion ?? ''}`,
          { ...kiloHeaders('ses_azure'), 'api-key': apiKey },
          {
            model,
            input: [
              { role: 'developer', content: 'You are Kilo.' },
              { role: 'user', content: [{ type: 'input_text', text: hello }] },
            ],
            store: false,
            reasoning: { effort: 'medium' },
            include: ['reasoning.encrypted_content'],
            stream: true,
          },
        );
        expect(readResponsesStream(answer.text).text).toContain(echo);
      },
    );

    it('stays with one resource for a session, so that prompts are cached', async () => {
      const { baseURL, apiKey } = optionsOf('gateway');
      for (const session of ['ses_a', 'ses_b', 'ses_c']) {
        const resources = new Set<string | undefined>();
        for (let turn = 0; turn < 6; turn += 1) {
          await post(
            `${baseURL}/chat/completions`,
            { ...kiloHeaders(session), authorization: `Bearer ${apiKey}` },
            {
              model: models.plain,
              messages: [{ role: 'user', content: `${canary} ${session} ${String(turn)}` }],
            },
          );
          const served = lastServed(stage());
          resources.add(served.resource);
          expect(
            Object.keys(served.headers).filter((name) => name.startsWith('x-session')),
          ).toEqual([]);
        }
        expect(resources.size).toBe(1);
      }
    });

    it('is told at once what was wrong with a request', async () => {
      const { baseURL, apiKey } = optionsOf('gateway');
      const answer = await exchange(`${baseURL}/chat/completions`, {
        headers: { ...kiloHeaders('ses_wrong'), authorization: `Bearer ${apiKey}` },
        json: { model: models.plain, messages: 'not a list', stream: true } satisfies JsonObject,
      });
      expect(answer.status).toBe(400);
      expect(answer.body['error']).toMatchObject({
        message: expect.stringContaining('messages') as string,
      });
    });
  });
}
