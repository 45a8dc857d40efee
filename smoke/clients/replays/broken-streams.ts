import { describe, expect, it } from 'vitest';
import { exchange } from '../../simulator/exchange.ts';
import type { FaultSpec } from '../../simulator/faults.ts';
import type { JsonObject } from '../../simulator/json.ts';
import { canary } from '../harness.ts';
import { models } from '../simulated-azure.ts';
import type { StageOf } from './replay.ts';

const prompt = `${canary} A sentence that is long enough to arrive in several pieces of a stream.`;
const chatBody = { stream: true, messages: [{ role: 'user', content: prompt }] };
const responsesBody = { stream: true, store: false, input: prompt };

const requests: readonly { name: string; path: string; body: JsonObject }[] = [
  { name: 'chat', path: '/chat/completions', body: { ...chatBody, model: models.plain } },
  { name: 'chat, bridged', path: '/chat/completions', body: { ...chatBody, model: models.codex } },
  { name: 'Responses', path: '/responses', body: { ...responsesBody, model: models.codex } },
  {
    name: 'stored Responses',
    path: '/responses',
    body: { ...responsesBody, store: true, model: models.codex },
  },
  {
    name: 'Responses, bridged',
    path: '/responses',
    body: { ...responsesBody, model: models.chatOnly },
  },
];

const breaks: readonly { name: string; fault: FaultSpec }[] = [
  { name: 'is cut off', fault: { kind: 'cut', afterEvents: 2, times: 1 } },
  {
    name: 'loses its connection',
    fault: { kind: 'reset', at: 'mid-body', afterEvents: 2, times: 1 },
  },
  { name: 'ends in an error', fault: { kind: 'stream-error', afterEvents: 2, times: 1 } },
  {
    name: 'ends in a failed response',
    fault: { kind: 'stream-error', shape: 'failed', afterEvents: 2, times: 1 },
  },
];

/** What clients can read of a stream that broke after output: all of them read whole events, and stop at an error. */
export function brokenStreams(stage: StageOf): void {
  describe.each(requests)('a stream of $name (replay)', ({ path, body }) => {
    it.each(breaks)(
      'that $name after output holds whole events, an error at its end and no sign of success',
      async ({ fault }) => {
        const struck = stage().simulator.fault(fault);
        const answer = await exchange(stage().v1 + path, {
          headers: { authorization: `Bearer ${stage().key}` },
          json: body,
        });
        struck.remove();
        expect(answer.status).toBe(200);
        expect(answer.broken).toBeUndefined();
        const data = answer.text
          .split('\n')
          .filter((line) => line.startsWith('data: '))
          .map((line) => line.slice(6));
        // A client throws at the first line that is no JSON.
        const events = data
          .filter((line) => line !== '[DONE]')
          .map((line) => JSON.parse(line) as JsonObject);
        expect(data).not.toContain('[DONE]');
        expect(events.some(({ type }) => type === 'response.completed')).toBe(false);
        const last = events.at(-1);
        const response = last?.['response'] as JsonObject | undefined;
        expect(last?.['error'] ?? response?.['error']).toMatchObject({
          message: expect.any(String) as string,
        });
      },
    );
  });
}
