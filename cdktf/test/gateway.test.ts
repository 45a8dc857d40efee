import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configure } from '@aigateway/contract/compile';
import { aigatewaySettings } from '@aigateway/contract/config';
import { variables as knownVariables } from '@aigateway/contract/environment-config';
import { describe, expect, it } from 'vitest';
import { readCommand } from '../../gateway/src/command-line.ts';
import { namedStore } from '../../gateway/src/store-place.ts';
import { gateSettings } from '../../smoke/gate/settings.ts';
import { allConfigurations } from '../src/clients.ts';
import { configuration } from '../src/config.ts';
import type { Json } from '../src/snapshot-files.ts';
import { plainStacks } from '../src/snapshots.ts';
import { resourcesOf } from '../src/replacements.ts';

type Variable = { name: string; value?: string; secret_name?: string };
type Probe = { path: string; port: number };
type Container = {
  args: string[];
  env: Variable[];
  startup_probe?: Probe[];
  liveness_probe?: Probe[];
  readiness_probe?: Probe[];
};

/** What no committed environment has: all that is brought along. */
const broughtAlong = configuration({
  client: 'any',
  environment: 'dev',
  topology: 'separate',
  redis: { kind: 'existing' },
  store: { kind: 'existing-postgres' },
  openai: [
    {
      region: 'swedencentral',
      existing: {
        endpoint: 'https://theirs.openai.azure.com',
        resourceId:
          '/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/theirs',
        signIn: 'key',
      },
      deployments: [{ name: 'a', model: 'gpt-4o', capacity: 1 }],
    },
  ],
  furtherRegions: [{ location: 'westeurope' }],
});

/** Proxies that stand alone, in two regions behind one address. */
const standalone = configuration({
  client: 'alone',
  environment: 'dev',
  topology: 'proxy',
  redis: { kind: 'managed' },
  frontDoor: {},
  furtherRegions: [{ location: 'westeurope' }],
  openai: [{ region: 'swedencentral', deployments: [{ name: 'a', model: 'gpt-4o', capacity: 1 }] }],
});

const stacks = await plainStacks([...(await allConfigurations()), broughtAlong, standalone]);

/** Every container of every stack, apps' and jobs'. */
const containers = [...stacks].flatMap(([stack, json]) =>
  [...resourcesOf(json)]
    .filter(([address]) => /^azurerm_container_app(_job)?\./.test(address))
    .map(([address, app]) => {
      const { container } = app['template'] as { container: Container[] };
      return { name: `${stack} ${address}`, app, container: container[0] as Container };
    }),
);

const known = new Set([
  ...knownVariables.map(({ name }) => name),
  ...Object.keys(aigatewaySettings.shape).map((name) => `AIGATEWAY_${name.toUpperCase()}`),
  'REDIS_HOST',
  'REDIS_PORT',
  'REDIS_SSL',
  'REDIS_USERNAME',
]);

/** What a container's process would find, with some text for what is known only once it runs. */
function environmentOf({ env }: Container): { [name: string]: string } {
  const stand: { [name: string]: string } = {
    AIGATEWAY_SECRET: 'test-secret-of-at-least-32-bytes-length',
    AIGATEWAY_SECRET_PREVIOUS: 'test-secret-of-at-least-32-bytes-length',
    PROXY_API_KEY: 'sk-caller-0123456789abcdef',
    LITELLM_MASTER_KEY: 'sk-master-0123456789abcdef',
    LITELLM_SALT_KEY: 'test-salt-key-of-at-least-32-bytes-length',
    LITELLM_SALT_KEY_PREVIOUS: 'test-salt-key-of-at-least-32-bytes-length',
    DATABASE_URL: 'postgres://a:b@c.postgres.database.azure.com/aigateway?sslmode=verify-full',
  };
  return Object.fromEntries(
    env.map(({ name, value }) => [
      name,
      value === undefined
        ? (stand[name] ?? 'filled-in')
        : value.replaceAll(/\$\{[^}]+\}/g, 'filled-in'),
    ]),
  );
}

describe.each(containers)('$name', ({ app, container }) => {
  it('is told by variables that the gateway knows, and started with a command line that it takes', () => {
    expect(container.env.map(({ name }) => name).filter((name) => !known.has(name))).toEqual([]);
    expect(() => readCommand(container.args)).not.toThrow();
  });

  it('would start: the gateway finds no problem in its settings', () => {
    const environment = environmentOf(container);
    const text = environment['AIGATEWAY_CONFIG_TEXT'];
    const raw = text === undefined ? {} : (JSON.parse(text) as Json);
    expect(() => namedStore(environment)).not.toThrow();
    // Jobs on the store need no models.
    if (['migrate', 'reseal'].includes(readCommand(container.args).action)) return;
    const { problems, notices } = configure(raw, environment);
    expect(problems).toEqual([]);
    expect(notices.filter(({ level }) => level !== 'info')).toEqual([]);
  });

  it('has every secret from the vault, none as a value', () => {
    const secrets = (app['secret'] ?? []) as { name: string; key_vault_secret_id?: string }[];
    for (const secret of secrets) {
      expect(secret.key_vault_secret_id).toMatch(/secrets\/[a-z0-9-]+$/);
      expect(secret).not.toHaveProperty('value');
    }
    const referred = container.env.flatMap(({ secret_name: name }) => name ?? []);
    expect(secrets.map(({ name }) => name)).toEqual([...new Set(referred)].toSorted());
  });
});

describe('secrets in the store', () => {
  it('are opened by every process of an environment, whichever has sealed them', () => {
    const sealing = containers.filter(({ container }) =>
      container.env.some(({ name }) => name === 'LITELLM_SALT_KEY'),
    );
    for (const role of ['app-proxy', 'app-control-plane', 'app-all', 'reseal'])
      expect(sealing.some(({ name }) => name.endsWith(`.${role}`))).toBe(true);
    for (const { name, container } of sealing) {
      const named = Object.fromEntries(
        container.env.map((one) => [one.name, one.secret_name] as const),
      );
      expect([name, named]).toEqual([
        name,
        expect.objectContaining({
          AIGATEWAY_SECRET: 'aigateway-secret',
          AIGATEWAY_SECRET_PREVIOUS: 'aigateway-secret-previous',
          LITELLM_SALT_KEY: 'salt-key',
          LITELLM_SALT_KEY_PREVIOUS: 'salt-key-previous',
        }),
      ]);
    }
  });
});

describe('the identity that calls models', () => {
  const published = containers.flatMap(({ name, app, container }) => {
    const text = container.env.find((one) => one.name === 'AIGATEWAY_CONFIG_TEXT')?.value;
    const models =
      text === undefined ? [] : (JSON.parse(text) as { model_list: Model[] }).model_list;
    return models.map(({ litellm_params: model }) => ({ name, app, model }));
  });
  type Model = { litellm_params: { client_id?: string; api_key?: string } };

  it('is that of the proxies, whoever publishes the models and wherever proxies run', () => {
    const byIdentity = published.filter(({ model }) => model.api_key === undefined);
    expect(byIdentity.some(({ name }) => name.endsWith('app-control-plane'))).toBe(true);
    for (const { model } of byIdentity)
      expect(model.client_id).toMatch(
        /^\$\{(data\.)?azurerm_user_assigned_identity\.identity-proxy\.client_id\}$/,
      );
    const further = stacks.get('contoso-prod-neu') as { data: { [type: string]: Json } };
    expect(further.data['azurerm_user_assigned_identity']?.['identity-proxy']).toEqual({
      name: resourcesOf(stacks.get('contoso-prod') ?? {}).get(
        'azurerm_user_assigned_identity.identity-proxy',
      )?.['name'],
      resource_group_name: 'pvc-prod-contosogw-rg-weu',
    });
    const grants = [...resourcesOf(stacks.get('contoso-prod-neu') ?? {}).keys()].filter((address) =>
      /role_assignment|access_policy/.test(address),
    );
    expect(grants).toEqual(['azurerm_role_assignment.grant-proxy-vault']);
  });
});

describe('apps', () => {
  const apps = containers.filter(({ app }) => 'ingress' in app);

  it('are asked on the ports and paths that the gateway answers on', () => {
    const { server } = configure({}, {});
    const operations = readFileSync(join(import.meta.dirname, '../../proxy/src/ops.ts'), 'utf8');
    expect(apps.length).toBeGreaterThan(0);
    for (const { app, container } of apps) {
      expect((app['ingress'] as { target_port: number }).target_port).toBe(server.port);
      const {
        startup_probe: startup,
        liveness_probe: liveness,
        readiness_probe: ready,
      } = container;
      for (const probe of [startup, liveness, ready]) {
        expect(probe?.[0]?.port).toBe(server.opsPort);
        expect(operations).toContain(`'${probe?.[0]?.path}'`);
      }
    }
  });

  it('keep what must outlive a restart where the image has its volume', () => {
    const dockerfile = readFileSync(join(import.meta.dirname, '../../Dockerfile'), 'utf8');
    for (const { app, container } of apps) {
      const directory = environmentOf(container)['AIGATEWAY_DATA_DIR'];
      expect(dockerfile).toContain(`VOLUME ["${directory}"]`);
      expect(app['template']).toMatchObject({
        container: [{ volume_mounts: [{ name: 'data', path: directory }] }],
        volume: [{ name: 'data', storage_type: 'EmptyDir' }],
      });
    }
  });

  it('say how many processes there are, over all regions', () => {
    const said = (stack: string) => {
      const found = apps.find(({ name }) => name === `${stack} azurerm_container_app.app-proxy`);
      return found && environmentOf(found.container)['AIGATEWAY_REPLICAS'];
    };
    expect(['contoso-prod', 'contoso-prod-neu', 'pvc-prod'].map(said)).toEqual(['40', '40', '10']);
  });

  it('give streams the time that the gateway takes to end them', () => {
    for (const { app, container } of apps) {
      const { server } = configure({}, environmentOf(container));
      const { termination_grace_period_seconds: seconds } = app['template'] as {
        termination_grace_period_seconds: number;
      };
      expect(server.stopDelayMs + server.drainMs).toBeLessThan(seconds * 1000);
    }
  });
});

describe('the smoke of an environment', () => {
  it.each(['dev', 'staging', 'prod'])('of %s asks for what is there', (environment) => {
    const stack = `pvc-${environment}`;
    const told = containers
      .filter(({ name }) => name.startsWith(`${stack} `))
      .flatMap(({ container }) => container.env);
    const { value = '' } = told.find(({ name }) => name === 'AIGATEWAY_CONFIG_TEXT')!;
    const { model_list: models } = JSON.parse(value) as { model_list: { model_name: string }[] };
    const settings = gateSettings(environment);
    expect(models.map(({ model_name: name }) => name)).toEqual(
      expect.arrayContaining(settings.models),
    );
    const isForwarded = told.some(({ name }) => name === 'AIGATEWAY_CONTROL_PLANE_URL');
    expect(settings.management).toBe(isForwarded ? 'open' : 'closed');
  });
});

describe('the containers of Cosmos DB', () => {
  it('are those that the gateway would make', () => {
    const file = join(import.meta.dirname, '../../control-plane/src/store/cosmos/containers.ts');
    const source = readFileSync(file, 'utf8');
    const made = resourcesOf(stacks.get('pvc-staging') ?? {});
    for (const id of ['management', 'usage']) {
      const { indexing_policy: policy } = made.get(
        `azurerm_cosmosdb_sql_container.cosmos-${id}`,
      ) as {
        indexing_policy: { included_path: { path: string }[] };
      };
      expect(source).toContain(`'${id}'`);
      const paths = policy.included_path.map(({ path }) => `'${path}'`).join(', ');
      expect(source.replaceAll(/\s+/g, ' ')).toContain(`indexed: [${paths}]`);
    }
  });
});
