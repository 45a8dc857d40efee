import { describe, expect, it } from 'vitest';
import prices from '../data/prices.json' with { type: 'json' };
import { lookUp, operationsOf, overridePrices, priceOf } from './prices.ts';

describe('lookUp', () => {
  it.each([
    ['gpt-4o', 'gpt-4o'],
    ['azure/gpt-4o', 'gpt-4o'],
    ['AZURE/GPT-4o', 'gpt-4o'],
    ['azure/responses/gpt-5.3-codex', 'gpt-5.3-codex'],
    ['azure/eu/gpt-4o', 'eu/gpt-4o'],
    ['us/gpt-5.1-codex', 'us/gpt-5.1-codex'],
    ['gpt-4o-2024-08-06', 'gpt-4o-2024-08-06'],
    // A version that is not listed costs what its model does.
    ['gpt-4o-2031-01-01', 'gpt-4o'],
    // A zone that is not listed for a model has its global price.
    ['eu/model-router', 'model-router'],
    // Deployments named for their model.
    ['gpt-4o-eastus', 'gpt-4o'],
    ['gpt-4o-mini-std', 'gpt-4o-mini'],
    ['gpt-4.1_team', 'gpt-4.1'],
    ['gpt-4o-global-batch', 'gpt-4o'],
  ])('finds %s as %s', (name, expected) => {
    expect(lookUp(name)?.name).toBe(expected);
  });

  it.each([
    '',
    'prod-1',
    'gpt-4o-ultra',
    'gpt-5-codex-2',
    'gpt-4o-mini-turbo',
    'my-gpt-4o',
    'gpt-4-64k',
    'constructor',
  ])('does not take %j for another model', (name) => {
    expect(lookUp(name)).toBeUndefined();
  });

  it('gives integer pico-USD with zones dearer than global', () => {
    expect(lookUp('gpt-4o')?.prices).toEqual({
      input: 2_500_000,
      output: 10_000_000,
      cachedInput: 1_250_000,
    });
    expect(lookUp('eu/gpt-4o')?.prices?.input).toBe(2_750_000);
    expect(lookUp('gpt-5.4')?.prices).toMatchObject({
      long: {
        aboveInputTokens: 272_000,
        input: 5_000_000,
        output: 22_500_000,
        cachedInput: 500_000,
      },
      tiers: {
        priority: { input: 5_000_000 },
        flex: { input: 1_250_000 },
        batch: { input: 1_250_000 },
      },
    });
  });

  it('gives limits, abilities and what a model answers', () => {
    expect(lookUp('gpt-5.3-codex')).toMatchObject({
      facts: {
        mode: 'responses',
        maxInputTokens: 272_000,
        maxOutputTokens: 128_000,
        baseModel: 'gpt-5.3-codex',
      },
      operations: ['responses'],
    });
    expect(lookUp('gpt-5')?.operations).toEqual(['chat', 'responses']);
    expect(lookUp('gpt-4o')?.operations).toBeUndefined();
    expect(lookUp('text-embedding-3-small')?.operations).toEqual(['embeddings']);
    expect(lookUp('gpt-realtime')?.operations).toEqual([]);
  });
});

it('holds no price that is not a safe integer, and a valid date', () => {
  const numbers: unknown[] = [];
  const collect = (value: unknown) => {
    if (typeof value === 'number') numbers.push(value);
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(collect);
  };
  collect(prices.models);
  expect(numbers.length).toBeGreaterThan(1000);
  expect(numbers.every((value) => Number.isSafeInteger(value))).toBe(true);
  expect(prices.date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
});

describe('overridePrices', () => {
  const listed = {
    input: 10,
    output: 20,
    cachedInput: 5,
    reasoning: 30,
    tiers: { priority: { input: 20, output: 40 } },
  };

  it('keeps the file where nothing is overridden', () => {
    expect(overridePrices(listed, {})).toEqual(listed);
    expect(overridePrices(undefined, {})).toBeUndefined();
  });

  it('makes free capacity free altogether', () => {
    expect(overridePrices(listed, { input: 0, output: 0 })).toEqual({ input: 0, output: 0 });
  });

  it('keeps what hangs on the price that was not overridden', () => {
    expect(overridePrices(listed, { output: 21 })).toEqual({
      input: 10,
      output: 21,
      cachedInput: 5,
    });
    expect(overridePrices(listed, { cachedInput: 1 })).toEqual({ ...listed, cachedInput: 1 });
  });

  it('prices models that are not in the file', () => {
    expect(overridePrices(undefined, { input: 3 })).toEqual({ input: 3, output: 0 });
    expect(overridePrices(undefined, { output: 3 })).toBeUndefined();
  });
});

it('knows only the operations that are served', () => {
  expect(operationsOf(['/v1/chat/completions', '/v1/batch', '/v1/responses'])).toEqual([
    'chat',
    'responses',
  ]);
});

describe('priceOf', () => {
  const router = lookUp('azure/model-router')?.prices;
  const chosen = lookUp('gpt-4.1-mini')?.prices;

  it('charges the choice of a router and the model that it chose', () => {
    expect(router).toMatchObject({ input: 140_000, output: 0 });
    const both = priceOf(router, 'gpt-4.1-mini-2025-04-14');
    expect(both).toMatchObject({
      input: 140_000 + (chosen?.input ?? Number.NaN),
      cachedInput: 140_000 + (chosen?.cachedInput ?? Number.NaN),
      output: chosen?.output,
    });
    expect(both).not.toHaveProperty('isSurcharge');
  });

  it('charges the choice alone where nothing is known of the chosen model', () => {
    expect(priceOf(router, undefined)).toBe(router);
    expect(priceOf(router, 'nobody-knows-it')).toBe(router);
    expect(priceOf(router, 'model-router')).toBe(router);
  });

  it('charges what the deployment is declared to be, whatever the answer says', () => {
    expect(priceOf(chosen, 'gpt-4o')).toBe(chosen);
    expect(priceOf(overridePrices(router, { input: 5, output: 7 }), 'gpt-4o')).toEqual({
      input: 5,
      output: 7,
    });
    expect(priceOf(undefined, 'gpt-4.1-mini')).toBe(chosen);
    expect(priceOf(undefined, undefined)).toBeUndefined();
  });

  it('raises every price of input, of long prompts and tiers too', () => {
    const names = ['gpt-4.1', 'gpt-5', 'gpt-5.4', 'gpt-4o', 'o3'];
    const every = names.flatMap((name) => {
      const served = lookUp(name)?.prices;
      return served === undefined ? [] : [{ served, both: priceOf(router, name) }];
    });
    for (const { served, both } of every) {
      expect(both?.long?.input).toBe(served.long && served.long.input + 140_000);
      for (const [tier, one] of Object.entries(served.tiers ?? {}))
        expect(both?.tiers?.[tier]).toMatchObject({
          input: one.input + 140_000,
          output: one.output,
        });
    }
    expect(every.some(({ served }) => served.tiers !== undefined)).toBe(true);
  });
});
