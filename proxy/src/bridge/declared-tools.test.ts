import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chatTool, DeclaredTools, unwrapCustomInput, wrapCustomInput } from './declared-tools.ts';

const toolName = fc.oneof(
  fc.constantFrom('a', 'b', 'a__b', 'b__c', 'c'),
  fc.string({ minLength: 1, maxLength: 90 }),
);

describe('tool names on the way to chat', () => {
  it('are names chat takes, each different, and lead back to the tool', () => {
    const tool = fc.record({ type: fc.constantFrom('function', 'custom'), name: toolName });
    const entry = fc.oneof(
      tool,
      fc.record({ type: fc.constant('namespace'), name: toolName, tools: fc.array(tool) }),
    );
    fc.assert(
      fc.property(fc.array(entry), (tools) => {
        const declared = new DeclaredTools({ tools });
        const flatNames = declared.tools.map(({ flatName }) => flatName);
        expect(new Set(flatNames).size).toBe(flatNames.length);
        for (const { flatName, namespace, name } of declared.tools) {
          expect(flatName).toMatch(/^[a-zA-Z0-9_-]{1,64}$/);
          expect(declared.byFlatName(flatName)).toMatchObject({ name });
          expect(declared.byFlatName(flatName)?.namespace).toBe(namespace);
          expect(declared.flatName(namespace, name)).toBe(flatName);
        }
      }),
    );
  });

  it('stay as they are where chat takes them', () => {
    const tools = [{ type: 'function', name: 'get_weather' }];
    expect(new DeclaredTools({ tools }).tools.map(({ flatName }) => flatName)).toEqual([
      'get_weather',
    ]);
  });

  it('are the same for tools that only earlier turns knew', () => {
    const name = 'read.file';
    const declared = new DeclaredTools({ tools: [{ type: 'function', name }] });
    expect(new DeclaredTools({}).flatName(undefined, name)).toBe(
      declared.flatName(undefined, name),
    );
  });
});

describe('custom tools as functions', () => {
  it('carry any input there and back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (input) => {
        expect(unwrapCustomInput(wrapCustomInput(input))).toBe(input);
      }),
    );
  });

  it('take arguments of another shape for the input', () => {
    expect(unwrapCustomInput('*** Begin Patch')).toBe('*** Begin Patch');
    expect(unwrapCustomInput('{"patch":"x"}')).toBe('{"patch":"x"}');
  });

  it('declare no more than a name where the caller gave no more', () => {
    const [tool] = new DeclaredTools({ tools: [{ type: 'function', name: 'f', parameters: null }] })
      .tools;
    expect(chatTool(tool!)).toEqual({ type: 'function', function: { name: 'f' } });
  });
});
