import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema } from '@aigateway/contract/config';
import { keyMeta } from '@aigateway/contract/config-fields';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type JsonSchema } from '../../scripts/chart-config-schema.ts';
import { valuesSchemaJson, valuesYaml, withValueTable } from '../../scripts/chart-files.ts';
import { valuesSchema } from '../../scripts/chart-values.ts';

const chart = join(import.meta.dirname, '..', 'aigateway');
const read = (name: string) => readFileSync(join(chart, name), 'utf8');
const ajv = new Ajv({ allErrors: true, strict: false });
const validate = ajv.compile(valuesSchema());

function errorsOf(values: unknown): string[] {
  validate(values);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

it('stands in values.yaml, values.schema.json and the README as it does in scripts/chart-values.ts', () => {
  expect(read('values.yaml')).toBe(valuesYaml());
  expect(read('values.schema.json')).toBe(valuesSchemaJson());
  expect(read('README.md')).toBe(withValueTable(read('README.md')));
});

it('has the version of the gateway', () => {
  const { version } = JSON.parse(readFileSync(join(chart, '..', '..', 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version });
});

describe('the schema of the values', () => {
  it.each(['values.yaml', ...readdirSync(join(chart, 'ci')).map((name) => `ci/${name}`)])(
    'takes %s',
    (name) => {
      expect(errorsOf(parse(read(name)))).toEqual([]);
    },
  );

  it('takes the values of the guide', () => {
    const guide = readFileSync(join(chart, '..', '..', 'docs', 'guides', 'kubernetes.md'), 'utf8');
    const values = parse(/```yaml\n([^]*?)```/.exec(guide)?.[1] ?? '') as object;
    expect(Object.keys(values)).toEqual(['image', 'secrets', 'config', 'proxy']);
    expect(errorsOf(values)).toEqual([]);
  });

  it('checks what is under config as the guide says', () => {
    const guide = readFileSync(join(chart, '..', '..', 'docs', 'guides', 'kubernetes.md'), 'utf8');
    const values = parse(/```yaml\n([^]*?)```/.exec(guide)?.[1] ?? '') as { config: object };
    const [, command = ''] = /`(docker run [^`]* --check [^`]*)`/.exec(guide) ?? [];
    const names = [...command.matchAll(/--env (\w+)=/g)].map(([, name = '']) => name);
    const folder = mkdtempSync(join(tmpdir(), 'aigateway-guide-'));
    const file = join(folder, 'config.yaml');
    writeFileSync(file, JSON.stringify(values.config));
    const { stderr, status } = spawnSync(
      process.execPath,
      [join(chart, '..', '..', 'gateway', 'src', 'main.ts'), '--check', '--config', file],
      {
        cwd: folder,
        encoding: 'utf8',
        env: Object.fromEntries(names.map((name) => [name, `sk-${'0123456789abcdef'.repeat(3)}`])),
      },
    );
    rmSync(folder, { recursive: true });
    expect([stderr, status]).toEqual(['', 0]);
  });

  it.each([
    ['a mistyped value', { proxi: {} }],
    ['a mistyped value further in', { proxy: { replica: 3 } }],
    ['a value of another type', { proxy: { replicas: 'three' } }],
    ['two autoscalers', { proxy: { autoscaling: { kind: ['hpa', 'keda'] } } }],
    ['a mistyped setting of the gateway', { config: { aigateway_settings: { max_bodi: '1MiB' } } }],
    ['a setting out of its range', { config: { aigateway_settings: { trusted_hops: 17 } } }],
    ['what the gateway refuses', { config: { general_settings: { custom_auth: 'x.y' } } }],
    [
      'what the gateway refuses among parameters',
      { config: { model_list: [modelWith({ mock_response: 'Hi' })] } },
    ],
    ['a port, which the chart sets', { config: { aigateway_settings: { port: 9 } } }],
    ['a secret in the clear', { config: { general_settings: { master_key: 'sk-1234567890' } } }],
    [
      'the key of an upstream in the clear',
      { config: { model_list: [modelWith({ api_key: '0123456789abcdef' })] } },
    ],
  ])('refuses %s', (_what, values) => {
    expect(errorsOf(values)).not.toEqual([]);
  });

  it('takes parameters of requests that it does not know, as the gateway does', () => {
    expect(errorsOf({ config: { model_list: [modelWith({ newest_parameter: 1 })] } })).toEqual([]);
  });

  it('takes other keys only where Kubernetes or the gateway says which there are', () => {
    const open: string[] = [];
    walk(valuesSchema(), '', (path, node) => {
      if (node.properties !== undefined && node.additionalProperties !== false) open.push(path);
    });
    const known = [
      '*.affinity',
      '*.autoscaling.metrics[]',
      '*.autoscaling.triggers[]',
      '*.dataVolume',
      '*.extraEnv[]',
      '*.extraVolumeMounts[]',
      '*.extraVolumes[]',
      '*.from[]',
      '*.httpRoute.parentRefs[]',
      '*.resources',
      '*.tolerations[]',
      '*.topologySpreadConstraints[]',
      'config.general_settings.user_header_mappings[]',
      'config.model_list[].litellm_params',
      'config.model_list[].model_info',
      'extraObjects[]',
      'migration.resources',
      'networkPolicy.extraEgress[]',
      'networkPolicy.metricsFrom[]',
    ];
    const paths = open.map((path) => path.replace(/^(proxy|controlPlane|all)\./, '*.'));
    expect(new Set(paths)).toEqual(new Set(known));
  });
});

/** Values of every form in which settings are written. */
const probes = [
  [true, false, 'true', 'no', 0, 1, 5, 0.5, -1, 443, 1e9, '5', '0.5', '1e3', 'os.environ/X'],
  ['10s', '250ms', '8MiB', '30d', 'weekly', 'UTC', '10:30', '2027-06-30', 'text', 'a,b', ''],
  ['simple-shuffle', 'info', 'closed', 'alias', 'none', 'ptu', 'chat', 'keyvault/vault/name'],
  [[], ['a', 'b'], [1], [{ a: ['b'] }], ['host:6379'], [['host', 6379]]],
  [{}, { a: 'b' }, { a: 1 }, { a: ['b'] }],
].flat(1) as unknown[];

describe('each setting of the gateway', () => {
  const schema = valuesSchema().properties!['config']!;
  const settings = settingsOf(configSchema, schema, 'config');

  it('is one of the chart, but for those that the chart sets', () => {
    const missing = settings.filter(({ json }) => json === undefined);
    expect(missing.map(({ path }) => path).toSorted()).toEqual([
      'config.aigateway_settings.data_dir',
      'config.aigateway_settings.drain_time',
      'config.aigateway_settings.ops_port',
      'config.aigateway_settings.port',
      'config.aigateway_settings.replicas',
      'config.aigateway_settings.stop_delay',
      'config.environment_variables',
      'config.include',
    ]);
    expect(settings.length).toBeGreaterThan(250);
  });

  it('takes in the chart what it takes in the file, secrets in the clear apart', () => {
    const refused: string[] = [];
    for (const { path, field, json } of settings) {
      if (json === undefined || String(field.meta()?.['type']).startsWith('a secret')) continue;
      const takes = ajv.compile(json);
      for (const value of probes)
        if (value !== '' && field.safeParse(value).success && !takes(value))
          refused.push(`${path}: ${JSON.stringify(value)}`);
    }
    expect(refused).toEqual([]);
  });

  it('refuses in the chart values of a wrong type, as it does in the file', () => {
    const taken: string[] = [];
    for (const { path, field, json } of settings) {
      if (json === undefined) continue;
      const takes = ajv.compile(json);
      for (const value of probes)
        if (typeof value !== 'string' && !field.safeParse(value).success && takes(value))
          taken.push(`${path}: ${JSON.stringify(value)}`);
    }
    expect(taken.filter((line) => !isCheckedByTheGateway(line))).toEqual([]);
  });
});

/** Ranges of times, sizes and amounts, and what lists and maps hold, are read by the gateway alone. */
function isCheckedByTheGateway(line: string): boolean {
  return /: (-?[\d.]+(e\+?\d+)?|\[.*\]|\{.*\})$/.test(line);
}

function modelWith(more: object) {
  return { model_name: 'm', litellm_params: { model: 'azure/m', ...more } };
}

function walk(
  node: JsonSchema,
  path: string,
  visit: (path: string, node: JsonSchema) => void,
): void {
  visit(path, node);
  for (const [key, inner] of Object.entries(node.properties ?? {}))
    walk(inner, path === '' ? key : `${path}.${key}`, visit);
  const { items } = node as { items?: JsonSchema };
  if (items !== undefined && !Array.isArray(items)) walk(items, `${path}[]`, visit);
}

type Setting = {
  readonly path: string;
  readonly field: z.ZodType;
  /** Of the chart; undefined where it has none. */
  readonly json: JsonSchema | undefined;
};

/** Every setting with effect, however deep. */
function settingsOf(schema: z.ZodObject, json: JsonSchema, prefix: string): Setting[] {
  return Object.entries(schema.shape as { [key: string]: z.ZodType }).flatMap(([key, field]) => {
    if (keyMeta(field)?.status !== 'effective') return [];
    const path = `${prefix}.${key}`;
    const inner = json.properties?.[key];
    const value = unwrapped(field);
    if (inner !== undefined && value instanceof z.ZodObject) return settingsOf(value, inner, path);
    const { items } = (inner ?? {}) as { items?: JsonSchema };
    if (items !== undefined && value instanceof z.ZodArray && value.element instanceof z.ZodObject)
      return settingsOf(value.element, items, `${path}[]`);
    return [{ path, field, json: inner }];
  });
}

function unwrapped(field: z.ZodType): z.ZodType {
  return field instanceof z.ZodOptional ? unwrapped(field.unwrap() as z.ZodType) : field;
}
