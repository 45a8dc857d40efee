import { describe, expect, it } from 'vitest';
import { configure } from './compile.ts';
import { keyMeta } from './config-fields.ts';
import { configSchema } from './config.ts';

const environment = { AIGATEWAY_PROFILE: 'development', AIGATEWAY_SECRET: 's'.repeat(32) };
const model = {
  model_name: 'm',
  litellm_params: { model: 'azure/m', api_base: 'https://r.openai.azure.com', api_key: 'k' },
};

const sections = [
  'router_settings',
  'litellm_settings',
  'general_settings',
  'aigateway_settings',
] as const;

const isSentence = /[ `]|^(?:none|any)$/;

/** What the reference page says of a default that is a value, and not a sentence about one. */
const documented = sections.flatMap((section) =>
  Object.entries(configSchema.shape[section].unwrap().shape).flatMap(([name, field]) => {
    const meta = keyMeta(field);
    const text = meta?.status === 'effective' ? meta.default : undefined;
    if (text === undefined || isSentence.test(text)) return [];
    return field.safeParse(text).success ? [{ section, name, text }] : [];
  }),
);

function compiled(settings: object) {
  const { records, server, problems } = configure(
    { model_list: [model], ...settings },
    environment,
  );
  return { records, server, problems };
}

describe('the defaults of the reference page', () => {
  it('are found', () => {
    expect(documented.length).toBeGreaterThan(40);
  });

  it.each(documented)('are those that are in force: $text is $name of $section', (one) => {
    expect(compiled({ [one.section]: { [one.name]: one.text } })).toEqual(compiled({}));
  });
});
