import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configure } from '@aigateway/contract/compile';
import { aigatewaySettings } from '@aigateway/contract/config';
import { variables } from '@aigateway/contract/environment-config';
import { redisVariables } from '@aigateway/contract/redis-settings';
import { readCommand } from '@aigateway/gateway/command-line';
import { startSimulator } from '@aigateway/smoke/simulator/simulator';
import { parse } from 'yaml';
import { expect, it } from 'vitest';

type Service = {
  readonly image?: string;
  readonly command: readonly string[];
  readonly environment?: { readonly [name: string]: string };
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly read_only?: boolean;
  readonly depends_on?: { readonly [service: string]: unknown };
};

type Compose = {
  readonly services: { readonly [name: string]: Service };
  readonly configs: { readonly models: { readonly content: string } };
  readonly volumes: object;
};

const file = readFileSync(join(import.meta.dirname, '..', '..', 'compose.yaml'), 'utf8');
const needed = new Map<string, string>();
const compose = parse(
  file.replace(/\$\{(\w+):\?[^}]+\}/g, (_all, name: string) => {
    needed.set(name, `sk-value-of-${name}-with-32-bytes-or-more`);
    return needed.get(name)!;
  }),
  { merge: true },
) as Compose;
const { services } = compose;
const ofGateway = Object.entries(services).filter(([, { image }]) => image === 'aigateway');
const models = parse(compose.configs.models.content) as {
  model_list: { model_name: string; litellm_params: { api_base: string; api_key: string } }[];
};

it('runs the product, and has no secret that everybody knows', () => {
  expect(Object.keys(services)).toEqual([
    'proxy',
    'control-plane',
    'migration',
    'azure',
    'redis',
    'postgres',
  ]);
  expect([...needed.keys()].toSorted()).toEqual([
    'AIGATEWAY_SECRET',
    'LITELLM_MASTER_KEY',
    'POSTGRES_PASSWORD',
  ]);
});

it('starts the gateway with options and variables that it has', () => {
  const known = new Set([
    ...variables.map(({ name }) => name),
    ...Object.keys(aigatewaySettings.shape).map((key) => `AIGATEWAY_${key.toUpperCase()}`),
    ...Object.values(redisVariables).flat(),
    // Named by the configuration.
    'AZURE_SIMULATED_KEY',
  ]);
  expect(ofGateway.map(([name, { command }]) => [name, readCommand(command).action])).toEqual([
    ['proxy', 'start'],
    ['control-plane', 'start'],
    ['migration', 'migrate'],
  ]);
  for (const [name, { command, environment = {}, read_only: isReadOnly }] of ofGateway) {
    expect(isReadOnly).toBe(true);
    expect(Object.keys(environment).filter((variable) => !known.has(variable))).toEqual([]);
    if (name !== 'migration') expect(readCommand(command).role).toBe(name);
  }
});

it('has a configuration that each role takes', () => {
  for (const [name, raw] of [
    ['control-plane', models],
    ['proxy', undefined],
  ] as const) {
    const { problems, records } = configure(raw, {
      ...services[name]!.environment,
      AIGATEWAY_ROLE: name,
    });
    expect(problems).toEqual([]);
    // With models of its own a proxy would follow nobody.
    expect(records.deployments).toHaveLength(name === 'proxy' ? 0 : models.model_list.length);
  }
});

it('names models that the simulated Azure has, by its key', async () => {
  const simulator = await startSimulator();
  try {
    const [resource] = simulator.config.resources;
    const key = services['proxy']!.environment!['AZURE_SIMULATED_KEY'];
    expect(resource!.keys).toContain(key);
    for (const { model_name: name, litellm_params: parameters } of models.model_list) {
      expect(resource!.deployments.map((deployment) => deployment.name)).toContain(name);
      expect(parameters.api_base).toBe(`http://azure:9100/${resource!.name}`);
    }
  } finally {
    await simulator.close();
  }
});

it('shows nothing to other machines, and waits for what must be there', () => {
  const ports = Object.values(services).flatMap((service) => service.ports ?? []);
  expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  for (const { depends_on: dependencies = {}, volumes: mounted = [] } of Object.values(services)) {
    for (const name of Object.keys(dependencies)) expect(services).toHaveProperty([name]);
    for (const volume of mounted)
      expect(compose.volumes).toHaveProperty([volume.split(':')[0] ?? '']);
  }
  expect(services['control-plane']!.depends_on).toMatchObject({
    migration: { condition: 'service_completed_successfully' },
  });
});
