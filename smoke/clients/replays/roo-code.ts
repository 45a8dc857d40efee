import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../simulator/json.ts';
import { canary } from '../harness.ts';
import { embeddingDimensions, keyOfEast, models } from '../simulated-azure.ts';
import { readChatStream, readResponsesStream } from '../strict-stream.ts';
import {
  echo,
  field,
  fieldsOf,
  get,
  hello,
  lastServed,
  pathSchema,
  post,
  readFileTool,
  sdkHeaders,
  toolPrompt,
} from './replay.ts';
import type { Fields, StageOf } from './replay.ts';

const file = 'roo-code.yaml';
const roo = {
  ...sdkHeaders('RooCode/3.36.0'),
  'http-referer': 'https://github.com/RooVetGit/Roo-Cline',
  'x-title': 'Roo Code',
};
const every = [models.plain, models.reasoning, models.chatOnly, models.codex];

/** A chat request as Roo Code writes it: temperature 0 always, cache marks inside parts, usage asked for, tools always. */
function chatBody(model: string, messages: JsonObject[]): JsonObject {
  const text = 'You are Roo, a highly skilled software engineer.';
  return {
    model,
    temperature: 0,
    messages: [
      { role: 'system', content: [{ type: 'text', text, cache_control: { type: 'ephemeral' } }] },
      ...messages,
    ],
    stream: true,
    stream_options: { include_usage: true },
    tools: [readFileTool],
    tool_choice: 'auto',
    parallel_tool_calls: false,
  };
}

function userMessage(text: string): JsonObject {
  return { role: 'user', content: [{ type: 'text', text, cache_control: { type: 'ephemeral' } }] };
}

/** Its two ways to a chat: the SDK's plain class and the SDK's Azure class, which puts the model into the path. */
const ways = [
  {
    profile: 'OpenAI Compatible',
    url: (fields: Fields) => `${field(fields, 'Base URL')}/chat/completions`,
    header: (key: string) => ({ authorization: `Bearer ${key}` }),
  },
  {
    profile: 'OpenAI Compatible, Use Azure',
    url: (fields: Fields, model: string) =>
      `${field(fields, 'Base URL')}/deployments/${model}/chat/completions?api-version=${field(fields, 'Azure API version')}`,
    header: (key: string) => ({ 'api-key': key }),
  },
];

/** Replays of Roo Code, built from its published code. */
export function rooCode(stage: StageOf): void {
  describe.each(ways)('Roo Code (replay), provider $profile', ({ profile, url, header }) => {
    it.each(every)('streams an answer of %s and shows what it cost', async (model) => {
      const fields = fieldsOf(stage(), file, profile);
      const headers = { ...roo, ...header(field(fields, 'API Key')) };
      const answer = await post(url(fields, model), headers, chatBody(model, [userMessage(hello)]));
      const { text, finishReason, usage } = readChatStream(answer.text);
      expect(text).toContain(echo);
      expect(finishReason).toBe('stop');
      expect(usage).toMatchObject({ prompt_tokens: expect.any(Number) as number });
    });

    it.each(every)('has a tool called by %s and sends its result', async (model) => {
      const fields = fieldsOf(stage(), file, profile);
      const headers = { ...roo, ...header(field(fields, 'API Key')) };
      const asked = userMessage(toolPrompt);
      const first = readChatStream(
        (await post(url(fields, model), headers, chatBody(model, [asked]))).text,
      );
      expect(first.finishReason).toBe('tool_calls');
      const [call] = first.calls;
      if (call === undefined) throw new Error('no call');
      expect(JSON.parse(call.arguments)).toEqual({ path: 'src/Größe.ts' });
      const turns = [
        asked,
        {
          role: 'assistant',
          content: '',
          tool_calls: [
            {
              id: call.id,
              type: 'function',
              function: { name: call.name, arguments: call.arguments },
            },
          ],
        },
        { role: 'tool', tool_call_id: call.id, content: 'export {}' },
      ];
      const second = readChatStream(
        (await post(url(fields, model), headers, chatBody(model, turns))).text,
      );
      expect(second.text).toContain('The tool returned: export {}');
    });
  });

  describe('Roo Code (replay)', () => {
    it('keeps a temperature for the models that take one', async () => {
      const fields = fieldsOf(stage(), file, 'OpenAI Compatible');
      await post(
        `${field(fields, 'Base URL')}/chat/completions`,
        { ...roo, authorization: `Bearer ${field(fields, 'API Key')}` },
        chatBody(models.plain, [userMessage(hello)]),
      );
      expect(lastServed(stage()).body).toMatchObject({ temperature: 0 });
    });

    it('writes to a reasoning model as a developer, with an effort', async () => {
      const fields = fieldsOf(stage(), file, 'OpenAI Compatible');
      const answer = await post(
        `${field(fields, 'Base URL')}/chat/completions`,
        { ...roo, authorization: `Bearer ${field(fields, 'API Key')}` },
        {
          model: models.reasoning,
          messages: [
            { role: 'developer', content: 'Formatting re-enabled\nYou are Roo.' },
            { role: 'user', content: hello },
          ],
          stream: true,
          stream_options: { include_usage: true },
          reasoning_effort: 'medium',
        },
      );
      expect(readChatStream(answer.text).text).toContain(echo);
      expect(lastServed(stage()).body).toMatchObject({ reasoning_effort: 'medium' });
    });

    // Its own HTTP call after a failed one appends /v1/responses to whatever base there is.
    it.each(['', '/v1'])(
      'gets a response from a base URL that ends in "%s", doubled or not',
      async (suffix) => {
        const fields = fieldsOf(stage(), file, 'OpenAI');
        const base = field(fields, 'Base URL') + suffix;
        for (const path of ['/responses', '/v1/responses']) {
          const answer = await post(
            base + path,
            {
              accept: 'text/event-stream',
              authorization: `Bearer ${field(fields, 'API Key')}`,
              originator: 'roo-code',
              session_id: '01981f2e-1111-7000-8000-000000000001',
              'user-agent': 'roo-code/3.36.0 (linux 6.8; x64) node/22.19.0',
            },
            {
              model: field(fields, 'Model'),
              input: [{ role: 'user', content: [{ type: 'input_text', text: hello }] }],
              stream: true,
              store: false,
              instructions: 'You are Roo.',
              reasoning: { effort: 'medium', summary: 'auto' },
              include: ['reasoning.encrypted_content'],
              tools: [
                { type: 'function', name: 'read_file', parameters: pathSchema, strict: true },
              ],
              tool_choice: 'auto',
              parallel_tool_calls: false,
              prompt_cache_retention: '24h',
            },
          );
          const { text, terminal, items } = readResponsesStream(answer.text);
          expect(text).toContain(echo);
          expect(terminal).toBe('response.completed');
          expect(items.find(({ type }) => type === 'reasoning')).toMatchObject({
            encrypted_content: expect.any(String) as string,
          });
        }
      },
    );

    it('finds its models with the provider LiteLLM and with OpenAI Compatible', async () => {
      const litellm = fieldsOf(stage(), file, 'LiteLLM');
      const rows = await get(`${field(litellm, 'Base URL')}/v1/model/info`, {
        'content-type': 'application/json',
        authorization: `Bearer ${field(litellm, 'API Key')}`,
      });
      // A row that lacks one of these is left out of the list without a word.
      for (const row of rows.body['data'] as JsonObject[]) {
        expect(row).toMatchObject({
          model_name: expect.any(String) as string,
          litellm_params: { model: expect.any(String) as string },
          model_info: { max_input_tokens: expect.any(Number) as number },
        });
      }
      const names = (rows.body['data'] as { model_name: string }[]).map(
        ({ model_name: name }) => name,
      );
      expect([...new Set(names)].toSorted()).toEqual(Object.values(models).toSorted());
      const compatible = fieldsOf(stage(), file, 'OpenAI Compatible');
      const list = await get(`${field(compatible, 'Base URL')}/models`, {
        authorization: `Bearer ${field(compatible, 'API Key')}`,
      });
      expect((list.body['data'] as { id: string }[]).map(({ id }) => id).toSorted()).toEqual(
        Object.values(models).toSorted(),
      );
    });

    it('calls the model it found with the provider LiteLLM', async () => {
      const fields = fieldsOf(stage(), file, 'LiteLLM');
      const answer = await post(
        `${field(fields, 'Base URL')}/chat/completions`,
        { ...roo, authorization: `Bearer ${field(fields, 'API Key')}` },
        { ...chatBody(field(fields, 'Model'), [userMessage(hello)]), max_tokens: 8192 },
      );
      expect(readChatStream(answer.text).text).toContain(echo);
      expect(lastServed(stage()).body).toMatchObject({ max_completion_tokens: 8192 });
    });

    // A base URL that names the operation is called as it stands, with both headers.
    it.each([
      { name: 'the base URL', path: '/v1/embeddings', both: false },
      { name: 'a full URL', path: '/v1/embeddings', both: true },
      {
        name: "a full URL in Azure's form",
        path: `/openai/deployments/${models.embeddings}/embeddings?api-version=2024-02-01`,
        both: true,
      },
    ])('indexes code with $name, vectors packed in base64', async ({ path, both }) => {
      const fields = fieldsOf(stage(), file, 'Codebase Indexing');
      const key = field(fields, 'API Key');
      const headers = { authorization: `Bearer ${key}`, ...(both ? { 'api-key': key } : {}) };
      const url = stage().url + path;
      const body = { model: field(fields, 'Model'), encoding_format: 'base64' };
      const probe = await post(url, headers, { ...body, input: ['test'] });
      expect(probe.body['data']).toHaveLength(1);
      const input = Array.from(
        { length: 60 },
        (_, index) => `${canary} function f${String(index)}() {}`,
      );
      const answer = await post(url, headers, { ...body, input });
      const data = answer.body['data'] as { index: number; embedding: string }[];
      expect(data.map(({ index }) => index)).toEqual(input.map((_, index) => index));
      for (const { embedding } of data) {
        expect(Buffer.from(embedding, 'base64')).toHaveLength(embeddingDimensions * 4);
      }
      const direct = await post(
        `${stage().simulator.resourceUrl('east')}/openai/v1/embeddings`,
        { 'api-key': keyOfEast },
        { ...body, input },
      );
      expect(answer.body['data']).toEqual(direct.body['data']);
      expect(answer.body['usage']).toMatchObject({
        prompt_tokens: expect.any(Number) as number,
        total_tokens: expect.any(Number) as number,
      });
    });
  });
}
