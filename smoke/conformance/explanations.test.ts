import { describe, expect, it } from 'vitest';
import { explain, readExplanations, type Explanation } from './explanations.ts';

const run = { document: 'API 1', target: 'gateway', exchanges: ['chat', 'chat stream'] };
const violation = { exchange: 'chat', at: '$.data[*].x', message: 'must be string, is 1' };
const explanation: Explanation = { exchange: 'chat', at: '$.data[*].x', reason: 'known' };

describe('explained deviations', () => {
  it.each<[string, Partial<Explanation>, boolean]>([
    ['the same place', {}, true],
    ['any text for a star', { exchange: '*', at: '$.*' }, true],
    ['a list position as it is written', { at: '$.data[0].x' }, false],
    ['another exchange', { exchange: 'chat stream' }, false],
    ['another document', { document: 'Other' }, false],
    ['another target', { target: 'simulator' }, false],
    ['another message', { message: 'must be number' }, false],
    ['the start of the message', { message: 'must be string' }, true],
  ])('match %s', (_what, change, matched) => {
    const { explained, unexplained } = explain([violation], [{ ...explanation, ...change }], run);
    expect([explained.length, unexplained.length]).toEqual(matched ? [1, 0] : [0, 1]);
  });

  it('are reported when nothing needs them any more', () => {
    const other = { ...explanation, exchange: 'embeddings' };
    expect(explain([], [explanation, other], run).unused).toEqual([explanation]);
    expect(explain([violation], [explanation], run).unused).toEqual([]);
  });

  it('all give a reason', () => {
    expect(readExplanations().filter(({ reason }) => reason.length < 20)).toEqual([]);
  });
});
