import { readdirSync, readFileSync } from 'node:fs';
import { configure } from '@aigateway/contract/compile';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const docs = new URL('../../docs/', import.meta.url);

/** Configurations that pages show: fenced YAML with models or keys in it. */
const examples = readdirSync(docs, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.md'))
  .flatMap((file) => {
    const blocks = readFileSync(new URL(file, docs), 'utf8').matchAll(/^```yaml\n([\s\S]*?)^```/gm);
    return [...blocks].map(([, text = '']) => ({ file, text }));
  })
  .filter(({ text }) => /^(?:model_list|virtual_keys|projects):/m.test(text));

/** Every variable that a configuration refers to, each with a value of its own. */
function environmentFor(text: string): { [name: string]: string } {
  const names = [...text.matchAll(/os\.environ\/(\w+)/g)].map(([, name = '']) => name);
  return Object.fromEntries(names.map((name) => [name, `sk-value-of-${name.toLowerCase()}-0123`]));
}

describe('the configurations that the documentation shows', () => {
  it('are there', () => {
    expect(examples.length).toBeGreaterThan(2);
  });

  it.each(examples)('can be used as they stand: $file', ({ text }) => {
    const compiled = configure(parse(text), {
      AIGATEWAY_PROFILE: 'development',
      PROXY_API_KEY: 'sk-caller-0123456789abcdef',
      // For pages that show keys alone.
      ...(!text.includes('model_list:') && {
        AZURE_OPENAI_URL: 'https://resource.openai.azure.com',
        AZURE_OPENAI_API_KEY: 'sk-upstream-0123456789',
      }),
      ...environmentFor(text),
    });
    expect(compiled.problems).toEqual([]);
    expect(compiled.notices.filter(({ level }) => level === 'warning')).toEqual([]);
  });
});
