import { describe, expect, it } from 'vitest';
import { exchange } from '../../simulator/exchange.ts';
import type { JsonObject } from '../../simulator/json.ts';
import { models } from '../simulated-azure.ts';
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
  toolPrompt,
} from './replay.ts';
import type { StageOf } from './replay.ts';

const file = 'cline.yaml';
const clineHeaders = {
  'user-agent': 'Cline/3.0.65 ai-sdk/openai-compatible/2.0.1',
  'http-referer': 'https://cline.bot',
  'x-title': 'Cline',
};

function chatBody(model: string, text: string): JsonObject {
  return {
    model,
    messages: [
      { role: 'system', content: 'You are Cline.' },
      { role: 'user', content: [{ type: 'text', text }] },
    ],
    tools: [readFileTool],
    tool_choice: 'auto',
    stream: true,
    stream_options: { include_usage: true },
  };
}

/** Replays of Cline, built from recordings of the program. */
export function cline(stage: StageOf): void {
  describe('Cline (replay)', () => {
    it.each([models.plain, models.reasoning, models.chatOnly, models.codex])(
      'streams an answer of %s with a reason to stop and usage',
      async (model) => {
        const fields = fieldsOf(stage(), file, 'OpenAI Compatible');
        const url = `${field(fields, 'Base URL')}/chat/completions`;
        const headers = { ...clineHeaders, authorization: `Bearer ${field(fields, 'API Key')}` };
        const plain = readChatStream((await post(url, headers, chatBody(model, hello))).text);
        expect(plain.text).toContain(echo);
        const counted = lastServed(stage()).usage;
        expect(plain.usage).toMatchObject({
          prompt_tokens: counted?.promptTokens,
          completion_tokens: counted?.completionTokens,
        });
        const called = readChatStream((await post(url, headers, chatBody(model, toolPrompt))).text);
        expect(called).toMatchObject({
          finishReason: 'tool_calls',
          calls: [{ name: 'read_file' }],
        });
      },
    );

    it('streams an answer through the path of a deployment, with the key as bearer', async () => {
      const fields = fieldsOf(stage(), file, 'OpenAI Compatible, Azure');
      const url = `${field(fields, 'Base URL')}/chat/completions?api-version=${field(fields, 'Azure API version')}`;
      const headers = { ...clineHeaders, authorization: `Bearer ${field(fields, 'API Key')}` };
      const answer = await post(url, headers, chatBody(field(fields, 'Model ID'), hello));
      expect(readChatStream(answer.text).text).toContain(echo);
    });

    it.each(['', '/v1'])(
      'asks for the models and calls one, with the LiteLLM base URL ending in "%s"',
      async (suffix) => {
        const fields = fieldsOf(stage(), file, 'LiteLLM');
        const key = field(fields, 'API Key');
        const infoUrl = `${field(fields, 'Base URL')}/v1/model/info`;
        const info = await get(infoUrl, { accept: 'application/json', 'x-litellm-api-key': key });
        expect((await get(infoUrl, { authorization: `Bearer ${key}` })).body).toEqual(info.body);
        const shorter = `${field(fields, 'Base URL')}/model/info`;
        expect((await get(shorter, { 'x-litellm-api-key': key })).body).toEqual(info.body);
        const rows = info.body['data'] as {
          model_name: string;
          litellm_params: JsonObject;
          model_info: JsonObject;
        }[];
        const row = rows.find(({ model_name: name }) => name === field(fields, 'Model ID'));
        expect(row?.model_info).toMatchObject({
          max_tokens: expect.any(Number) as number,
          max_output_tokens: expect.any(Number) as number,
          max_input_tokens: expect.any(Number) as number,
          supports_vision: expect.any(Boolean) as boolean,
          supports_prompt_caching: expect.any(Boolean) as boolean,
          supports_reasoning: expect.any(Boolean) as boolean,
        });
        const limit = row?.model_info['max_output_tokens'];
        const answer = await post(
          `${field(fields, 'Base URL')}${suffix}/chat/completions`,
          { ...clineHeaders, authorization: `Bearer ${key}` },
          { ...chatBody(field(fields, 'Model ID'), hello), max_tokens: limit },
        );
        expect(readChatStream(answer.text).text).toContain(echo);
        expect(lastServed(stage()).body).toMatchObject({ max_completion_tokens: limit });
      },
    );

    it.each([models.codex, models.plain, models.chatOnly])(
      'gets a response of %s although it offers hosted tools unasked',
      async (model) => {
        const fields = fieldsOf(stage(), file, 'OpenAI');
        const answer = await post(
          `${field(fields, 'Base URL')}/responses`,
          { ...clineHeaders, authorization: `Bearer ${field(fields, 'API Key')}` },
          {
            model,
            input: [
              { role: 'system', content: 'You are Cline.' },
              { role: 'user', content: [{ type: 'input_text', text: hello }] },
            ],
            tools: [
              { type: 'web_search' },
              { type: 'image_generation' },
              { type: 'function', name: 'read_file', parameters: pathSchema, strict: null },
            ],
            tool_choice: 'auto',
            include: ['web_search_call.action.sources'],
            truncation: 'auto',
            stream: true,
          },
        );
        const { text, terminal } = readResponsesStream(answer.text);
        expect(text).toContain(echo);
        expect(terminal).toBe('response.completed');
      },
    );

    it('is refused at once, in words it can show', async () => {
      const fields = fieldsOf(stage(), file, 'OpenAI Compatible');
      const answer = await exchange(`${field(fields, 'Base URL')}/chat/completions`, {
        headers: { ...clineHeaders, authorization: 'Bearer sk-nobody-knows-this-key' },
        json: chatBody(models.plain, hello),
      });
      expect(answer.status).toBe(401);
      expect(answer.body['error']).toMatchObject({
        message: expect.stringMatching(/key/i) as string,
      });
    });
  });
}
