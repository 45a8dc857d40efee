import { describe, expect, it } from 'vitest';
import { exchange } from '../../simulator/exchange.ts';
import type { JsonObject } from '../../simulator/json.ts';
import { canary } from '../harness.ts';
import type { Stage } from '../harness.ts';
import { models } from '../simulated-azure.ts';
import { readResponsesStream } from '../strict-stream.ts';
import type { ResponsesStream } from '../strict-stream.ts';
import { echo, hello, pathSchema, post, toolPrompt } from './replay.ts';
import type { StageOf } from './replay.ts';

/** A request as Codex wrote it to what it took for Azure before 0.169: stored, and every item with an id. */
function storedBody(model: string, input: readonly unknown[]): JsonObject {
  return {
    model,
    instructions: 'You are Codex.',
    input,
    tools: [
      { type: 'function', name: 'read_file', parameters: pathSchema, strict: false },
      { type: 'web_search' },
      { type: 'custom', name: 'apply_patch', description: 'Edits files', format: { type: 'text' } },
    ],
    tool_choice: 'auto',
    parallel_tool_calls: true,
    reasoning: { effort: 'medium', summary: 'auto' },
    store: true,
    stream: true,
    include: ['reasoning.encrypted_content'],
    prompt_cache_key: '01a1fc15-cfbd-7141-b86e-868fc4d411b3',
    client_metadata: { 'x-codex-installation-id': 'aaedb3d8' },
  };
}

function userItem(text: string): JsonObject {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

async function codex(
  stage: Stage,
  body: JsonObject,
  path = '/responses',
): Promise<ResponsesStream> {
  const headers = {
    accept: 'text/event-stream',
    authorization: `Bearer ${stage.key}`,
    originator: 'codex_exec',
    'session-id': '01a1fc15-cfbd-7141-b86e-868fc4d411b3',
    'thread-id': '01a1fc15-cfbd-7141-b86e-868fc4d411b3',
  };
  return readResponsesStream((await post(stage.v1 + path, headers, body)).text);
}

/** Replays of what Codex does with providers it takes for Azure, built from its published code. */
export function codexForAzure(stage: StageOf): void {
  describe('Codex, for a provider it takes for Azure (replay)', () => {
    it.each([models.codex, models.reasoning, models.plain, models.chatOnly])(
      'goes on with stored items of %s, sent back with their ids',
      async (model) => {
        for (let session = 0; session < 3; session += 1) {
          const asked = userItem(toolPrompt);
          const first = await codex(stage(), storedBody(model, [asked]));
          const call = first.items.find(({ type }) => type === 'function_call');
          expect(call).toMatchObject({ name: 'read_file', id: expect.any(String) as string });
          const output = {
            type: 'function_call_output',
            call_id: call?.['call_id'],
            output: 'export {}',
          };
          const second = await codex(stage(), storedBody(model, [asked, ...first.items, output]));
          expect(second.text).toContain('The tool returned: export {}');
          const third = await codex(
            stage(),
            storedBody(model, [asked, ...first.items, output, ...second.items, userItem(hello)]),
          );
          expect(third.text).toContain(echo);
        }
      },
    );

    it('goes on with stored items that are named by their ids alone', async () => {
      const first = await codex(stage(), storedBody(models.codex, [userItem(hello)]));
      const references = first.items.map(({ id }) => ({ type: 'item_reference', id }));
      const second = await codex(
        stage(),
        storedBody(models.codex, [userItem(hello), ...references, userItem(`${canary} And now?`)]),
      );
      expect(second.text).toContain(`You said: ${canary} And now?`);
    });

    it.each([models.codex, models.chatOnly])(
      'has a long session with %s compacted and goes on with what is left',
      async (model) => {
        const first = await codex(stage(), storedBody(model, [userItem(hello)]));
        const compacted = await post(
          `${stage().v1}/responses/compact`,
          { authorization: `Bearer ${stage().key}` },
          {
            model,
            instructions: 'You are Codex.',
            input: [userItem(hello), ...first.items],
          },
        );
        const output = compacted.body['output'] as JsonObject[];
        expect(output.filter(({ type }) => type === 'compaction')).toHaveLength(1);
        const next = await codex(
          stage(),
          storedBody(model, [...output, userItem(`${canary} And now?`)]),
        );
        expect(next.text).toContain(`You said: ${canary} And now?`);
      },
    );

    it('is refused a WebSocket at once, so that it goes on over HTTP', async () => {
      const answer = await exchange(`${stage().v1}/responses`, {
        headers: {
          connection: 'upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          'openai-beta': 'responses_websockets=2026-02-06',
          authorization: `Bearer ${stage().key}`,
        },
      });
      expect(answer.status).toBe(426);
      expect(answer.body['error']).toMatchObject({ message: expect.any(String) as string });
    });
  });
}
