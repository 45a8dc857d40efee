import { describe, expect, it } from 'vitest';
import type { Json } from '../src/snapshot-files.ts';
import { plainStacks } from '../src/snapshots.ts';
import { variants } from '../src/variants.ts';

const stacks = [...(await plainStacks()), ...(await plainStacks(variants))];

/** Every text of a stack. */
function* textsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (typeof value === 'object' && value !== null)
    for (const member of Object.values(value)) yield* textsOf(member);
}

/** Whether what stands between `${` and `}` is in turn no template, but for texts in it, and ends. */
function isReadable(template: string): boolean {
  const open: ('expression' | 'block' | 'text')[] = [];
  for (let at = 0; at < template.length; at += 1) {
    const inside = open.at(-1);
    const isText = inside === undefined || inside === 'text';
    const next = template.charAt(at);
    if (template.startsWith('$${', at)) at += 2;
    else if (template.startsWith('${', at)) {
      if (!isText) return false;
      open.push('expression');
      at += 1;
    } else if (inside === undefined) continue;
    else if (next === '"') {
      if (isText) open.pop();
      else open.push('text');
    } else if (isText) at += next === '\\' ? 1 : 0;
    else if (next === '{') open.push('block');
    else if (next === '}') open.pop();
  }
  return open.length === 0;
}

describe('the expressions of stacks', () => {
  it('are told from what Terraform cannot read', () => {
    const readable = [
      'a',
      '${a.b}-${c[0]}',
      '${f("x${a}", { b = "}" })}',
      '$${not(${a})}',
      '${f("\\"")}',
    ];
    expect(readable.filter((text) => !isReadable(text))).toEqual([]);
    const others = ['${can(regex("x$", ${var.image}))}', '${a', '${f("${a)}'];
    expect(others.filter((text) => isReadable(text))).toEqual([]);
  });

  it.each(stacks)('can be read in %s', (_name, stack) => {
    const texts = [...textsOf(stack)];
    expect(texts.filter((text) => text.includes('${')).length).toBeGreaterThan(10);
    expect(texts.filter((text) => !isReadable(text))).toEqual([]);
  });

  it.each(stacks)('check their variables in %s', (_name, stack) => {
    const variables = Object.entries((stack['variable'] ?? {}) as { [name: string]: Json });
    const strange = variables.flatMap(([name, { validation = [] }]) =>
      (validation as { condition: string }[]).filter(
        ({ condition }) => !condition.includes(`var.${name}`),
      ),
    );
    expect(strange).toEqual([]);
  });
});
