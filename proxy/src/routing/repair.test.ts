import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject, Operation } from '@aigateway/contract/records';
import { reasoningRepairs, vendorFields, vendorRepairs } from './known-repairs.ts';
import { applyRepairs, mayNeedRepairs, normalisePath, type Repair } from './repair.ts';

function apply(body: JsonObject, ...repairs: Repair[]): { body: JsonObject; changes: string[] } {
  const changes = applyRepairs(body, repairs);
  return { body, changes };
}

describe('a repair', () => {
  it('drops a parameter and names it', () => {
    expect(apply({ a: 1, top_k: 2 }, { param: 'top_k', action: 'drop' })).toEqual({
      body: { a: 1 },
      changes: ['-top_k'],
    });
  });

  it('renames a parameter and keeps its value', () => {
    const rename: Repair = { param: 'max_tokens', action: 'rename', to: 'max_completion_tokens' };
    expect(apply({ max_tokens: 77 }, rename)).toEqual({
      body: { max_completion_tokens: 77 },
      changes: ['max_tokens>max_completion_tokens'],
    });
    expect(apply({ max_tokens: 77, max_completion_tokens: 5 }, rename).body).toEqual({
      max_completion_tokens: 5,
    });
    expect(apply({ max_tokens: 77, max_completion_tokens: null }, rename).body).toEqual({
      max_completion_tokens: 77,
    });
  });

  it('leaves a value that is the default anyway', () => {
    const temperature: Repair = { param: 'temperature', action: 'default-only', default: 1 };
    expect(apply({ temperature: 1 }, temperature)).toEqual({
      body: { temperature: 1 },
      changes: [],
    });
    expect(apply({ temperature: 0 }, temperature)).toEqual({
      body: {},
      changes: ['-temperature'],
    });
  });

  it('replaces only the refused value', () => {
    const role: Repair = {
      param: 'messages[].role',
      action: 'replace',
      from: 'developer',
      to: 'system',
    };
    const result = apply({ messages: [{ role: 'developer' }, { role: 'user' }] }, role);
    expect(result.body).toEqual({ messages: [{ role: 'system' }, { role: 'user' }] });
    expect(result.changes).toEqual(['~messages[].role']);
    const effort: Repair = { param: 'reasoning.effort', action: 'replace', from: 'minimal' };
    expect(apply({ reasoning: { effort: 'minimal', summary: 'auto' } }, effort).body).toEqual({
      reasoning: { summary: 'auto' },
    });
    expect(apply({ reasoning: { effort: 'low' } }, effort).changes).toEqual([]);
  });

  it('reaches nested places without touching what the caller kept', () => {
    const part = { type: 'text', text: 'x', cache_control: { type: 'ephemeral' } };
    const kept = { messages: [{ role: 'user', content: [part, 'odd'] }, null] };
    const body: JsonObject = { ...kept };
    const changes = applyRepairs(body, vendorRepairs(['cache_control'], 'chat'));
    expect(body).toEqual({
      messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, 'odd'] }, null],
    });
    expect(changes).toEqual(['-messages[].content[].cache_control']);
    expect(kept.messages[0]?.content[0]).toBe(part);
  });

  it('does nothing to a body that does not have what it is about', () => {
    const names = fc.constantFrom('a', 'b', 'messages', 'tools', 'content', 'temperature');
    const body = fc.dictionary(names, fc.jsonValue()) as fc.Arbitrary<JsonObject>;
    fc.assert(
      fc.property(body, (value) => {
        const before = structuredClone(value);
        const changes = applyRepairs(value, [
          { param: 'top_k', action: 'drop' },
          { param: 'messages[].content[].cache_control', action: 'drop' },
          { param: 'stream_options.include_usage', action: 'drop' },
        ]);
        expect(changes).toEqual([]);
        expect(value).toEqual(before);
      }),
    );
  });
});

describe('reasoning models', () => {
  it('get what they take', () => {
    const body: JsonObject = {
      model: 'm',
      messages: [],
      max_tokens: 10,
      temperature: 0,
      top_p: 0.5,
      presence_penalty: 0,
      frequency_penalty: 1,
      logprobs: true,
      top_logprobs: 2,
    };
    applyRepairs(body, reasoningRepairs.chat ?? []);
    expect(body).toEqual({
      model: 'm',
      messages: [],
      presence_penalty: 0,
      max_completion_tokens: 10,
    });
  });

  it.each<JsonObject>([{ reasoning_effort: 'none' }, { reasoning: { effort: 'none' } }])(
    'keep sampling parameters while their reasoning is off: %j',
    (off) => {
      const body: JsonObject = { ...off, temperature: 0, max_tokens: 5 };
      applyRepairs(body, reasoningRepairs.chat ?? []);
      expect(body).toEqual({ ...off, temperature: 0, max_completion_tokens: 5 });
    },
  );
});

describe('vendor fields', () => {
  const cases = Object.entries(vendorFields).flatMap(([name, paths]) =>
    (Object.entries(paths) as [Operation, string[]][]).flatMap(([operation, places]) =>
      places.map((path) => [name, operation, path] as const),
    ),
  );

  /** A body with a value at a path. */
  function bodyWith(path: string): JsonObject {
    const [first = '', ...rest] = path.split('.');
    const isArray = first.endsWith('[]');
    const name = isArray ? first.slice(0, -2) : first;
    const inner = rest.length === 0 ? 1 : { ...bodyWith(rest.join('.')), kept: true };
    return { [name]: isArray ? [inner] : inner };
  }

  function mayNeed(body: JsonObject, repairs: readonly Repair[]): boolean {
    const text = JSON.stringify(body, undefined, 1);
    return mayNeedRepairs(
      Buffer.from(text).toString('latin1'),
      new Map(Object.entries(body)),
      repairs,
    );
  }

  it.each(cases)('%s is removed from %s at %s', (name, operation, path) => {
    const body = bodyWith(path);
    const repairs = vendorRepairs([name], operation);
    expect(mayNeed(body, repairs)).toBe(true);
    expect(applyRepairs(body, repairs)).toEqual([`-${path}`]);
    expect(mayNeed(body, repairs)).toBe(false);
  });

  it('are not seen where only a text or a value names them', () => {
    const repairs = vendorRepairs(Object.keys(vendorFields), 'chat');
    const content = [{ type: 'reasoning', text: 'say "cache_control": 1 of größe' }];
    expect(mayNeed({ messages: [{ role: 'user', content }] }, repairs)).toBe(false);
    expect(mayNeed({ input: [{ reasoning_content: 'of another operation' }] }, repairs)).toBe(
      false,
    );
    expect(mayNeed({ größe: [{ größe: 1 }] }, vendorRepairs(['größe[].größe'], 'chat'))).toBe(true);
  });

  it('may be named by their path in the configuration', () => {
    const body: JsonObject = { messages: [{ vendor: { flag: 1 } }] };
    expect(applyRepairs(body, vendorRepairs(['messages[].vendor.flag'], 'chat'))).toHaveLength(1);
    expect(body).toEqual({ messages: [{ vendor: {} }] });
  });

  it('do not touch what belongs to the operation', () => {
    const body: JsonObject = { reasoning: { effort: 'low' } };
    expect(applyRepairs(body, vendorRepairs(Object.keys(vendorFields), 'responses'))).toEqual([]);
  });
});

describe('paths', () => {
  it.each([
    ['temperature', 'temperature'],
    ['messages[0].content[12].cache_control', 'messages[].content[].cache_control'],
    ['messages.0.content.1', 'messages[].content[]'],
    ['messages.[3].role', 'messages[].role'],
    ['stream_options.include_usage', 'stream_options.include_usage'],
  ])('lose their indices: %s', (given, expected) => {
    expect(normalisePath(given)).toBe(expected);
  });
});
