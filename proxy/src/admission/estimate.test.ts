import { describe, expect, it } from 'vitest';
import { estimateTokens, OutputMeans } from './estimate.ts';

const chat = { operation: 'chat', bodyBytes: 4000 } as const;

describe('token estimate', () => {
  it('is a quarter of the bytes plus the requested maximum for each choice, as Azure counts', () => {
    expect(estimateTokens({ ...chat, requestedOutput: 300, choices: 3 })).toEqual({
      input: 1000,
      output: 900,
      total: 1900,
    });
    expect(estimateTokens({ ...chat, bodyBytes: 4001, requestedOutput: 0 }).input).toBe(1001);
  });

  it('expects twice the recent mean where no maximum is requested, at least 1024, at most what the model gives', () => {
    expect(estimateTokens(chat).output).toBe(1024);
    expect(estimateTokens({ ...chat, meanOutput: 100 }).output).toBe(1024);
    expect(estimateTokens({ ...chat, meanOutput: 3000.2 }).output).toBe(6001);
    expect(estimateTokens({ ...chat, meanOutput: 3000, maxOutput: 4096 }).output).toBe(4096);
    expect(estimateTokens({ ...chat, maxOutput: 500, choices: 2 }).output).toBe(1000);
  });

  it('expects no output of embeddings', () => {
    expect(estimateTokens({ operation: 'embeddings', bodyBytes: 40 })).toEqual({
      input: 10,
      output: 0,
      total: 10,
    });
  });

  it('counts inline media by the piece, not by its bytes', () => {
    const call = { ...chat, bodyBytes: 1_000_000, contentBytes: 400, mediaParts: 2 };
    expect(estimateTokens({ ...call, requestedOutput: 1 }).input).toBe(100 + 2 * 765);
  });
});

describe('output means', () => {
  it('follow the recent answers of one key and model', () => {
    const means = new OutputMeans();
    expect(means.mean('k', 'm')).toBeUndefined();
    means.add('k', 'm', 1000);
    expect(means.mean('k', 'm')).toBe(1000);
    means.add('k', 'm', 2000);
    expect(means.mean('k', 'm')).toBe(1100);
    for (let call = 0; call < 100; call += 1) means.add('k', 'm', 50);
    expect(means.mean('k', 'm')).toBeCloseTo(50, 0);
    expect(means.mean('k', 'other')).toBeUndefined();
  });

  it('forget the pair least recently used when they are full', () => {
    const means = new OutputMeans(2);
    means.add('a', 'm', 1);
    means.add('b', 'm', 1);
    means.add('a', 'm', 1);
    means.add('c', 'm', 1);
    expect(means.size).toBe(2);
    expect(means.mean('b', 'm')).toBeUndefined();
    expect(means.mean('a', 'm')).toBe(1);
  });
});
