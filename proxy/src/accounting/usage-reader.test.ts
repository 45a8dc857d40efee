import type { Operation } from '@aigateway/contract/records';
import { noTokens } from '@aigateway/contract/usage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateUsage, readUsage } from './usage-reader.ts';

const operations: readonly Operation[] = ['chat', 'completions', 'embeddings', 'responses'];

describe('usage reader', () => {
  it('reads every part of a chat usage', () => {
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 50,
      total_tokens: 150,
      prompt_tokens_details: { cached_tokens: 40, audio_tokens: 7, cache_write_tokens: 5 },
      completion_tokens_details: {
        reasoning_tokens: 30,
        audio_tokens: 3,
        accepted_prediction_tokens: 0,
      },
    };
    expect(readUsage('chat', usage)).toEqual({
      input: 100,
      cachedInput: 40,
      cacheWrite: 5,
      audioInput: 7,
      output: 50,
      reasoning: 30,
      audioOutput: 3,
    });
  });

  it('reads every part of a responses usage', () => {
    const usage = {
      input_tokens: 120,
      input_tokens_details: { cached_tokens: 20 },
      output_tokens: 80,
      output_tokens_details: { reasoning_tokens: 64 },
      total_tokens: 200,
    };
    const tokens = { ...noTokens, input: 120, cachedInput: 20, output: 80, reasoning: 64 };
    expect(readUsage('responses', usage)).toEqual(tokens);
  });

  it('reads completions and embeddings, which have no details', () => {
    const completion = { prompt_tokens: 4, completion_tokens: 6, total_tokens: 10 };
    expect(readUsage('completions', completion)).toEqual({ ...noTokens, input: 4, output: 6 });
    const embedding = { prompt_tokens: 9, total_tokens: 9 };
    expect(readUsage('embeddings', embedding)).toEqual({ ...noTokens, input: 9 });
  });

  it('takes a zero that is stated for a zero', () => {
    expect(readUsage('chat', { prompt_tokens: 0, completion_tokens: 0 })).toEqual(noTokens);
  });

  it('understands the names that other upstreams have for the same', () => {
    expect(readUsage('chat', { input_tokens: 3, output_tokens: 4 })).toEqual({
      ...noTokens,
      input: 3,
      output: 4,
    });
    const cached = {
      prompt_tokens: 30,
      completion_tokens: 1,
      cache_read_input_tokens: 10,
      cache_creation_input_tokens: 15,
    };
    expect(readUsage('chat', cached)).toMatchObject({ cachedInput: 10, cacheWrite: 15 });
  });

  it('derives an output that only the total tells', () => {
    expect(readUsage('chat', { prompt_tokens: 3, total_tokens: 10 })).toMatchObject({ output: 7 });
  });

  it.each([
    ['null', null],
    ['a list', [1]],
    ['no fields', {}],
    ['no output', { prompt_tokens: 3 }],
    ['a total below the input', { prompt_tokens: 3, total_tokens: 2 }],
    ['a negative count', { prompt_tokens: -1, completion_tokens: 2 }],
    ['a fraction', { prompt_tokens: 1.5, completion_tokens: 2 }],
    ['text', { prompt_tokens: '12', completion_tokens: 2 }],
    ['a schema', { type: 'object', properties: { prompt_tokens: {} } }],
  ])('does not take %s for usage', (_name, usage) => {
    expect(readUsage('chat', usage)).toBeUndefined();
  });

  it('gives whole numbers with parts within their totals, or nothing, for any value', () => {
    const count = fc.oneof(fc.nat(), fc.integer(), fc.double(), fc.string(), fc.constant(null));
    const details = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(
        fc.constantFrom('cached_tokens', 'audio_tokens', 'reasoning_tokens', 'cache_write_tokens'),
        count,
      ),
    );
    const usage = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          prompt_tokens: count,
          input_tokens: count,
          completion_tokens: count,
          output_tokens: count,
          total_tokens: count,
          prompt_tokens_details: details,
          input_tokens_details: details,
          completion_tokens_details: details,
          output_tokens_details: details,
        },
        { requiredKeys: [] },
      ),
    );
    fc.assert(
      fc.property(fc.constantFrom(...operations), usage, (operation, value) => {
        const tokens = readUsage(operation, value);
        if (tokens === undefined) return;
        for (const number of Object.values(tokens)) {
          expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
        }
        expect(tokens.cachedInput + tokens.cacheWrite).toBeLessThanOrEqual(tokens.input);
        expect(tokens.audioInput).toBeLessThanOrEqual(tokens.input);
        expect(tokens.reasoning).toBeLessThanOrEqual(tokens.output);
      }),
    );
  });

  it('estimates a broken-off answer from what passed', () => {
    const text = { inputTokens: 10, outputBytes: 401, stream: false };
    expect(estimateUsage(text)).toEqual({ ...noTokens, input: 10, output: 101 });
    expect(estimateUsage({ ...text, stream: true })).toMatchObject({ output: 3 });
    expect(estimateUsage({ ...text, outputBytes: 0, stream: true })).toMatchObject({ output: 0 });
  });
});
