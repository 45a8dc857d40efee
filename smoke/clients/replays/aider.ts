import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../simulator/json.ts';
import { environmentFor } from '../settings.ts';
import { models } from '../simulated-azure.ts';
import { readChatStream } from '../strict-stream.ts';
import { echo, hello, lastServed, post } from './replay.ts';
import type { StageOf } from './replay.ts';

/** A request as aider writes it: temperature 0, examples as alternating turns, no word of usage. */
function chatBody(model: string): JsonObject {
  return {
    model,
    messages: [
      { role: 'system', content: 'Act as an expert software developer.' },
      { role: 'user', content: 'Change get_factorial() to use math.factorial' },
      {
        role: 'assistant',
        content: 'To make this change we need to modify `mathweb/flask/app.py`.',
      },
      { role: 'user', content: 'I switched to a new code base.' },
      { role: 'assistant', content: 'Ok.' },
      { role: 'user', content: hello },
    ],
    temperature: 0,
    stream: true,
  };
}

const every = [models.plain, models.reasoning, models.chatOnly, models.codex];

/** Replays of aider, built from recordings of the program. */
export function aider(stage: StageOf): void {
  describe('aider (replay)', () => {
    it.each(every)(
      'streams an answer of %s and gets no usage, which it did not ask for',
      async (model) => {
        const settings = environmentFor('aider.env', stage());
        const answer = await post(
          `${settings['OPENAI_API_BASE'] ?? ''}/chat/completions`,
          {
            authorization: `Bearer ${settings['OPENAI_API_KEY'] ?? ''}`,
            'x-stainless-async': 'false',
          },
          chatBody(model),
        );
        const { text, usage } = readChatStream(answer.text);
        expect(text).toContain(echo);
        expect(usage).toBeUndefined();
      },
    );

    it('has its usage counted all the same', async () => {
      const settings = environmentFor('aider.env', stage());
      await post(
        `${settings['OPENAI_API_BASE'] ?? ''}/chat/completions`,
        { authorization: `Bearer ${settings['OPENAI_API_KEY'] ?? ''}` },
        chatBody(models.plain),
      );
      expect(lastServed(stage()).body).toMatchObject({ stream_options: { include_usage: true } });
    });

    it.each(every)(
      'streams an answer of %s on Azure paths, with its key in two headers',
      async (model) => {
        const settings = environmentFor('aider-azure.env', stage());
        const key = settings['AZURE_API_KEY'] ?? '';
        const answer = await post(
          `${settings['AZURE_API_BASE'] ?? ''}/openai/deployments/${model}/chat/completions?api-version=${settings['AZURE_API_VERSION'] ?? ''}`,
          { authorization: `Bearer ${key}`, 'api-key': key },
          chatBody(model),
        );
        expect(readChatStream(answer.text).text).toContain(echo);
      },
    );
  });
}
