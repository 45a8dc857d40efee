import { describe, expect, it } from 'vitest';
import { IdTagger } from '../routing/affinity.ts';
import { inCallersIds, type StatefulBody } from './state.ts';

const tagger = new IdTagger({ current: 'a-root-secret-of-more-than-thirty-two-bytes' });
const owner = 'team-1';

function given(original: string): string {
  return tagger.wrap('response', 'east', owner, original);
}

function requestWith(ids: readonly string[]): StatefulBody {
  const written = Buffer.from(JSON.stringify({ previous_response_id: ids }));
  return { body: undefined, written, homes: new Set(['east']), stripped: false, changes: [] };
}

describe('the words of an upstream', () => {
  it("name an id as the caller gave it, and leave what is none of the request's", () => {
    const request = requestWith([given('resp_0123456789')]);
    const text = "No 'resp_0123456789' here, nor 'resp_9876543210'.";
    expect(inCallersIds(text, request, tagger, owner)).toBe(
      `No '${given('resp_0123456789')}' here, nor 'resp_9876543210'.`,
    );
    expect(inCallersIds(text, request, tagger, 'team-2')).toBe(text);
  });

  it('are searched for a few ids only, since the request may be large', () => {
    const ids = Array.from({ length: 6 }, (_, at) => `resp_00000000${at}`);
    const told = inCallersIds(ids.join(' '), requestWith(ids.map(given)), tagger, owner);
    expect(told).toBe([...ids.slice(0, 4).map(given), ...ids.slice(4)].join(' '));
  });
});
