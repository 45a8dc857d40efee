import { describe, expect, it } from 'vitest';
import { aigatewaySettings } from './config.ts';
import { formatProblem } from './config-problems.ts';
import { keyMeta } from './config-fields.ts';
import { parseConfig } from './parse-config.ts';

const nonsense = 'no ~ such ~ value';

/** Settings that a text can be wrong for, with the variable that each of them is. */
const settings = Object.entries(aigatewaySettings.shape).flatMap(([name, field]) => {
  const meta = keyMeta(field);
  if (meta?.status !== 'effective' || meta.type === undefined) return [];
  const wrong = [nonsense, '-1', '99999999999999999999'].filter(
    (value) => !field.safeParse(value).success,
  );
  const variable = `AIGATEWAY_${name.toUpperCase()}`;
  return wrong.map((value) => ({ name, variable, value, type: meta.type ?? '' }));
});

describe('a variable of the environment with a wrong value', () => {
  it('is found for most settings', () => {
    expect(new Set(settings.map(({ name }) => name)).size).toBeGreaterThan(25);
  });

  it.each(settings)(
    'is named with what it may be: $variable, $value',
    ({ name, variable, value, type }) => {
      const { problems } = parseConfig({}, { [variable]: value }).report;
      expect(problems).toHaveLength(1);
      const [problem] = problems.map((one) => formatProblem(one));
      expect(problem).toContain(`aigateway_settings.${name}`);
      expect(problem).toContain(`in the environment variable ${variable}`);
      expect(problem).toContain(type);
    },
  );
});

describe('a setting that is a list or a map', () => {
  it('is the JSON of it in the environment', () => {
    const route = { path: '/ask', operation: 'chat' };
    const { config, report } = parseConfig(
      {},
      {
        AIGATEWAY_EXTRA_ROUTES: JSON.stringify([route]),
        AIGATEWAY_DEFAULT_MODELS: ' {"chat":"m"}',
        AIGATEWAY_CORS_ORIGINS: 'https://a.example, https://b.example',
      },
    );
    expect(report.problems).toEqual([]);
    expect(config.aigateway_settings).toMatchObject({
      extra_routes: [route],
      default_models: { chat: 'm' },
      cors_origins: ['https://a.example', 'https://b.example'],
    });
  });

  it('is named where its JSON is not whole', () => {
    const { problems } = parseConfig({}, { AIGATEWAY_EXTRA_ROUTES: '[{"path"' }).report;
    expect(problems.map((one) => formatProblem(one))).toEqual([
      'aigateway_settings.extra_routes: must be a list of maps with path and operation, found a text of 8 characters in the environment variable AIGATEWAY_EXTRA_ROUTES.',
    ]);
  });
});
