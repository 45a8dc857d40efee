import { describe, expect, it } from 'vitest';
import { models } from '../simulated-azure.ts';
import { readChatStream } from '../strict-stream.ts';
import { echo, hello, post } from './replay.ts';
import type { StageOf } from './replay.ts';

/** Replays of the extension Continue, built from its published code; its command line is run as it is. */
export function continueReplays(stage: StageOf): void {
  describe('Continue, the extension (replay)', () => {
    it('streams a chat although its Azure adapter puts the operation into the query', async () => {
      const query = 'api-version=2024-10-21/chat/completions';
      const answer = await post(
        `${stage().url}/openai/deployments/${models.plain}?${query}`,
        { authorization: `Bearer ${stage().key}`, 'api-key': stage().key },
        {
          model: models.plain,
          messages: [{ role: 'user', content: hello }],
          max_tokens: 4096,
          stream: true,
          stream_options: { include_usage: true },
        },
      );
      expect(readChatStream(answer.text).text).toContain(echo);
    });

    it('gets vectors for its index', async () => {
      const answer = await post(
        `${stage().v1}/embeddings`,
        { authorization: `Bearer ${stage().key}`, 'api-key': stage().key },
        { model: models.embeddings, input: [hello, 'two'] },
      );
      const data = answer.body['data'] as { index: number; embedding: unknown }[];
      expect(data.map(({ index }) => index)).toEqual([0, 1]);
      expect(data.every(({ embedding }) => Array.isArray(embedding))).toBe(true);
    });
  });
}
