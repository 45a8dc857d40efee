import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../simulator/json.ts';
import { canary } from '../harness.ts';
import { models } from '../simulated-azure.ts';
import { readChatStream, readResponsesStream } from '../strict-stream.ts';
import {
  echo,
  field,
  fieldsOf,
  hello,
  lastServed,
  pathSchema,
  post,
  readFileTool,
  toolPrompt,
} from './replay.ts';
import type { Fields, StageOf } from './replay.ts';

const file = 'qoder.yaml';

function headersOf(fields: Fields): Record<string, string> {
  const key = field(fields, 'apiKey');
  return {
    accept: 'text/event-stream',
    'session-id': '0b6f1b2c-5d53-4e3b-9c0a-2d6d0e4c1a11',
    ...(field(fields, 'authType') === 'bearer'
      ? { authorization: `Bearer ${key}` }
      : { 'x-api-key': key }),
  };
}

/** It appends the path unless the base URL has it already. */
function urlOf(fields: Fields, path: string): string {
  const base = field(fields, 'baseUrl');
  return base.endsWith(path)
    ? base
    : `${base.replace(/\/(chat\/completions|responses)$/, '')}${path}`;
}

/** A chat request with all the fields of other vendors that it may send. */
function chatBody(model: string, messages: JsonObject[]): JsonObject {
  return {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    tools: [readFileTool],
    max_tokens: 32_000,
    temperature: 0.7,
    top_p: 0.95,
    top_k: 40,
    thinking: { type: 'enabled' },
    enable_thinking: true,
    thinking_budget: 4096,
    preserve_thinking: true,
  };
}

/** Replays of Qoder, built from its published code: it runs only for an account that is signed in. */
export function qoder(stage: StageOf): void {
  describe('Qoder (replay)', () => {
    const every = [models.plain, models.reasoning, models.chatOnly, models.codex];

    it.each(['openai', 'api-key'])('streams an answer with the profile %s', async (profile) => {
      const fields = fieldsOf(stage(), file, profile);
      const messages = [
        {
          role: 'system',
          content: [{ type: 'text', text: 'You are Qoder.', cache_control: { type: 'ephemeral' } }],
        },
        { role: 'user', content: hello },
      ];
      const body = chatBody(field(fields, 'model'), messages);
      const answer = await post(urlOf(fields, '/chat/completions'), headersOf(fields), body);
      expect(readChatStream(answer.text).text).toContain(echo);
    });

    it.each(every)("goes on with a history that holds %s's reasoning and calls", async (model) => {
      const fields = fieldsOf(stage(), file, 'openai');
      const asked = { role: 'user', content: toolPrompt };
      const url = urlOf(fields, '/chat/completions');
      const first = readChatStream(
        (await post(url, headersOf(fields), chatBody(model, [asked]))).text,
      );
      const [call] = first.calls;
      if (call === undefined) throw new Error('no call');
      const messages = [
        asked,
        {
          role: 'assistant',
          content: null,
          reasoning_content: 'The user wants a file read.',
          tool_calls: [
            {
              index: 0,
              id: call.id,
              type: 'function',
              function: { name: call.name, arguments: call.arguments },
            },
          ],
        },
        { role: 'tool', tool_call_id: call.id, content: 'export {}' },
      ];
      const second = readChatStream(
        (await post(url, headersOf(fields), chatBody(model, messages))).text,
      );
      expect(second.text).toContain('The tool returned: export {}');
    });

    it('has its limit of output kept under the name that the model knows', async () => {
      const fields = fieldsOf(stage(), file, 'openai');
      const url = urlOf(fields, '/chat/completions');
      const limits = {
        [models.chatOnly]: 'max_tokens',
        [models.reasoning]: 'max_completion_tokens',
        [models.codex]: 'max_output_tokens',
      };
      for (const [model, name] of Object.entries(limits)) {
        const body = { ...chatBody(model, [{ role: 'user', content: hello }]), max_tokens: 4000 };
        await post(url, headersOf(fields), body);
        expect(lastServed(stage()).body).toMatchObject({ [name]: 4000 });
      }
    });

    it('has its reasoning taken back by Responses, from turn to turn', async () => {
      const fields = fieldsOf(stage(), file, 'openai-responses');
      const bodyOf = (input: unknown[]): JsonObject => ({
        model: field(fields, 'model'),
        instructions: 'You are Qoder.',
        input,
        stream: true,
        store: false,
        include: ['reasoning.encrypted_content'],
        prompt_cache_key: '0b6f1b2c-5d53-4e3b-9c0a-2d6d0e4c1a11',
        tools: [{ type: 'function', name: 'read_file', parameters: pathSchema, strict: false }],
      });
      const asked = {
        type: 'message',
        role: 'user',
        content: [{ type: 'input_text', text: toolPrompt }],
      };
      for (let session = 0; session < 4; session += 1) {
        const url = urlOf(fields, '/responses');
        const first = readResponsesStream(
          (await post(url, headersOf(fields), bodyOf([asked]))).text,
        );
        const call = first.items.find(({ type }) => type === 'function_call');
        expect(first.items.map(({ type }) => type)).toEqual(['reasoning', 'function_call']);
        const output = {
          type: 'function_call_output',
          call_id: call?.['call_id'],
          output: 'export {}',
        };
        const second = await post(url, headersOf(fields), bodyOf([asked, ...first.items, output]));
        expect(readResponsesStream(second.text).text).toContain('The tool returned: export {}');
      }
    });

    it('takes a base URL that ends in an operation, on either protocol', async () => {
      const fields = fieldsOf(stage(), file, 'openai-responses');
      for (const ending of ['', '/chat/completions', '/responses']) {
        const typed = { ...fields, baseUrl: field(fields, 'baseUrl') + ending };
        const answer = await post(urlOf(typed, '/responses'), headersOf(typed), {
          model: field(typed, 'model'),
          input: [{ type: 'message', role: 'user', content: `${canary} Hi` }],
          stream: true,
          store: false,
        });
        expect(readResponsesStream(answer.text).terminal).toBe('response.completed');
      }
    });
  });
}
