import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ConfigurationInput } from '../src/config.ts';
import { resourcesOf } from '../src/replacements.ts';
import type { Json } from '../src/snapshot-files.ts';
import { plainStacks } from '../src/snapshots.ts';
import { stackWith } from './small-stack.ts';

type App = {
  name: string;
  secret: { name: string }[];
  ingress: {
    external_enabled: boolean;
    target_port: number;
    ip_security_restriction: { action: string; ip_address_range: string }[];
  };
  template: {
    min_replicas: number;
    max_replicas: number;
    container: {
      cpu: number;
      memory: string;
      args: string[];
      env: { name: string; value?: string }[];
    }[];
    http_scale_rule?: { concurrent_requests: string }[];
    custom_scale_rule?: unknown[];
  };
  depends_on: string[];
};

const committed = await plainStacks();

function resources(stack: string): Map<string, Json> {
  return resourcesOf(committed.get(stack) ?? {});
}

function app(stack: string, role = 'proxy'): App {
  return resources(stack).get(`azurerm_container_app.app-${role}`) as unknown as App;
}

function attribute(stack: string, address: string, name: string): unknown {
  return resources(stack).get(address)?.[name];
}

/** One stack of a configuration that is not committed. */
async function stackOf(input: Partial<ConfigurationInput>): Promise<Map<string, Json>> {
  return resourcesOf(await stackWith(input));
}

const sorted = (texts: Iterable<string | undefined>) =>
  [...texts].map(String).toSorted((a, b) => a.localeCompare(b));

const typesIn = (stack: Map<string, Json>) =>
  new Set([...stack.keys()].map((address) => address.split('.')[0]));

describe('the smallest environment', () => {
  it('has what it needs, under the names that were asked for, and nothing that costs while idle', () => {
    const names = [...resources('pvc-dev').values()].map(({ name }) => name).filter(Boolean);
    expect(names).toEqual(
      expect.arrayContaining([
        'pvc-dev-aigateway-rg-san',
        'pvc-dev-aigateway-law-san',
        'pvc-dev-aigateway-cae-san',
        'pvc-dev-aigateway-ca-san',
        'pvc-dev-aigateway-kv-san',
      ]),
    );
    expect(sorted(typesIn(resources('pvc-dev')))).toEqual([
      'azurerm_cognitive_account',
      'azurerm_cognitive_deployment',
      'azurerm_container_app',
      'azurerm_container_app_environment',
      'azurerm_key_vault',
      'azurerm_log_analytics_workspace',
      'azurerm_monitor_diagnostic_setting',
      'azurerm_resource_group',
      'azurerm_role_assignment',
      'azurerm_user_assigned_identity',
    ]);
  });

  it('keeps its state in a storage account of its own, whose name is a legal one', () => {
    const { terraform } = committed.get('pvc-dev') as { terraform: { backend: Json } };
    expect(terraform.backend['azurerm']).toMatchObject({
      resource_group_name: 'pvc-dev-aigateway-rgst-san',
      storage_account_name: 'pvcdevaigatewaystsan',
      container_name: 'tfstate',
      key: 'pvc-dev.tfstate',
    });
  });

  it('lets models run elsewhere than the gateway', () => {
    expect(attribute('pvc-dev', 'azurerm_resource_group.group', 'location')).toBe(
      'southafricanorth',
    );
    expect(attribute('pvc-dev', 'azurerm_cognitive_account.openai-swc', 'location')).toBe(
      'swedencentral',
    );
  });
});

describe('the proxies', () => {
  it('have the size, port and replicas that were asked for', () => {
    const { ingress, template } = app('pvc-staging');
    expect(ingress).toMatchObject({ target_port: 8080, external_enabled: true });
    expect(template).toMatchObject({ min_replicas: 1, max_replicas: 10 });
    expect(template.container[0]).toMatchObject({ cpu: 0.5, memory: '1Gi' });
    expect(template.http_scale_rule).toEqual([{ name: 'calls', concurrent_requests: '15' }]);
    expect(template.custom_scale_rule).toHaveLength(1);
  });

  it('scale to zero in dev, where no rule keeps one, and are two in prod', () => {
    expect(app('pvc-dev').template.min_replicas).toBe(0);
    expect(app('pvc-dev').template).not.toHaveProperty('custom_scale_rule');
    expect(app('pvc-prod').template.min_replicas).toBe(2);
  });

  it('get their secrets by reference, also the key of a resource that is brought along', () => {
    expect(app('contoso-dev', 'all').secret.map(({ name }) => name)).toEqual([
      'aigateway-secret',
      'aigateway-secret-previous',
      'azure-openai-api-key',
      'master-key',
      'salt-key',
      'salt-key-previous',
    ]);
    expect(app('pvc-dev').secret.map(({ name }) => name)).toEqual([
      'aigateway-secret',
      'aigateway-secret-previous',
      'proxy-api-key',
    ]);
  });

  it('read the vault of their own environment alone, which no other has', () => {
    const own = '${azurerm_key_vault.vault.vault_uri}secrets/';
    const vaults: unknown[] = [];
    for (const [stack, json] of committed) {
      const all = [...resourcesOf(json)];
      const references = JSON.stringify(all).match(/"key_vault_secret_id":"[^"]*"/g) ?? [];
      for (const reference of references)
        expect([stack, reference.startsWith(`"key_vault_secret_id":"${own}`)]).toEqual([
          stack,
          true,
        ]);
      const ofVaults = all.filter(
        ([address, { role_definition_name: role }]) =>
          address.startsWith('azurerm_role_assignment.') && String(role).startsWith('Key Vault'),
      );
      for (const [, { scope }] of ofVaults) expect(scope).toBe('${azurerm_key_vault.vault.id}');
      vaults.push(
        ...all
          .filter(([address]) => address === 'azurerm_key_vault.vault')
          .map(([, { name }]) => name),
      );
    }
    expect(vaults.length).toBeGreaterThan(5);
    expect(new Set(vaults).size).toBe(vaults.length);
  });

  it('seal and open with the same salt keys as the control plane, in every region', () => {
    const salts = (stack: string, role?: string) =>
      app(stack, role)
        .secret.map(({ name }) => name)
        .filter((name) => name.startsWith('salt-key'));
    for (const [stack, role] of [
      ['contoso-prod', 'control-plane'],
      ['contoso-prod', 'proxy'],
      ['contoso-prod-neu', 'proxy'],
    ] as const)
      expect(salts(stack, role)).toEqual(['salt-key', 'salt-key-previous']);
    expect(salts('pvc-dev')).toEqual([]);
  });

  it('let in only the addresses on a list, where there is one', () => {
    expect(app('contoso-dev', 'all').ingress.ip_security_restriction).toEqual([
      { name: 'allowed-1', action: 'Allow', ip_address_range: '203.0.113.0/24' },
    ]);
    expect(app('pvc-dev').ingress.ip_security_restriction).toEqual([]);
  });

  it('stay beside the revision before, but for control planes, which work without being called', () => {
    for (const stack of ['pvc-staging', 'pvc-prod', 'contoso-prod']) {
      expect(app(stack)).toMatchObject({ revision_mode: 'Multiple' });
      expect(app(stack, 'control-plane')).toMatchObject({ revision_mode: 'Single' });
    }
    expect(app('contoso-dev', 'all')).toMatchObject({ revision_mode: 'Multiple' });
  });

  it('start only when every right is granted', () => {
    const granted = [...resources('pvc-prod').keys()].filter((address) =>
      /^azurerm_(role_assignment|managed_redis_access_policy_assignment)\.grant-proxy-/.test(
        address,
      ),
    );
    expect(app('pvc-prod').depends_on.toSorted()).toEqual(granted.toSorted());
  });
});

describe('the roles', () => {
  it('are two apps, the control plane reached through the proxies alone', () => {
    const control = app('pvc-staging', 'control-plane');
    expect(control.name).toBe('pvc-staging-aigateway-caadm-san');
    expect(control.ingress.external_enabled).toBe(false);
    expect(control.template.container[0]?.args).toEqual(['--role', 'control-plane']);
    const url = app('pvc-staging').template.container[0]?.env.find(
      ({ name }) => name === 'AIGATEWAY_CONTROL_PLANE_URL',
    );
    expect(url?.value).toContain('app-control-plane');
  });

  it('are one app in the smallest installation with a control plane', () => {
    expect(app('contoso-dev', 'all').template.container[0]?.args).toEqual(['--role', 'all']);
    expect(resources('contoso-dev').has('azurerm_container_app.app-proxy')).toBe(false);
  });

  it('give administrators an address of their own only by a list', async () => {
    const stack = await stackOf({
      topology: 'separate',
      redis: { kind: 'existing' },
      store: { kind: 'existing-postgres' },
      controlPlane: { allowedIps: ['203.0.113.7/32'] },
    });
    const control = stack.get('azurerm_container_app.app-control-plane') as unknown as App;
    expect(control.ingress).toMatchObject({
      external_enabled: true,
      ip_security_restriction: [{ action: 'Allow', ip_address_range: '203.0.113.7/32' }],
    });
  });
});

describe('rights', () => {
  const grants = (stack: string) =>
    [...resources(stack)]
      .filter(([address]) => address.startsWith('azurerm_role_assignment.'))
      .map(([address, { role_definition_name: role }]) => [
        address.replace('azurerm_role_assignment.grant-', ''),
        role,
      ]);

  it('are those that the work of each identity needs', () => {
    expect(grants('pvc-prod')).toEqual([
      ['control-plane-vault', 'Key Vault Secrets User'],
      ['proxy-openai-francecentral-2', 'Cognitive Services OpenAI User'],
      ['proxy-openai-swedencentral', 'Cognitive Services OpenAI User'],
      ['proxy-vault', 'Key Vault Secrets User'],
    ]);
  });

  it('reach the data of Cosmos DB for the control plane alone', () => {
    const data = [...resources('pvc-prod').keys()].filter((address) =>
      address.startsWith('azurerm_cosmosdb_sql_role_assignment.'),
    );
    expect(data).toEqual(['azurerm_cosmosdb_sql_role_assignment.grant-control-plane-cosmos']);
  });
});

describe('what holds data', () => {
  const stateful =
    /^azurerm_(key_vault|cosmosdb_account|cosmosdb_sql_database|cosmosdb_sql_container|managed_redis|postgresql_flexible_server|postgresql_flexible_server_database|cognitive_account)\./;

  it.each(['pvc-prod', 'contoso-prod'])('is not destroyed by an apply in %s', (stack) => {
    const held = [...resources(stack)].filter(([address]) => stateful.test(address));
    expect(held.length).toBeGreaterThan(3);
    for (const [address, { lifecycle }] of held)
      expect([address, (lifecycle as Json)['prevent_destroy']]).toEqual([address, true]);
  });

  it('takes no keys or passwords where Entra can decide', () => {
    expect(
      attribute('pvc-prod', 'azurerm_cosmosdb_account.cosmos', 'local_authentication_disabled'),
    ).toBe(true);
    expect(
      attribute('pvc-prod', 'azurerm_cognitive_account.openai-swc', 'local_auth_enabled'),
    ).toBe(false);
    expect(attribute('pvc-prod', 'azurerm_managed_redis.redis', 'default_database')).toMatchObject({
      access_keys_authentication_enabled: false,
      clustering_policy: 'NoCluster',
      eviction_policy: 'NoEviction',
    });
  });

  it('has a password of PostgreSQL in neither state nor plan', () => {
    const { variable } = committed.get('contoso-prod') as { variable: { [name: string]: Json } };
    expect(variable['postgres_password']).toMatchObject({ ephemeral: true, sensitive: true });
    expect(variable['postgres_password']).not.toHaveProperty('default');
    const server = resources('contoso-prod').get('azurerm_postgresql_flexible_server.postgres');
    expect(server).not.toHaveProperty('administrator_password');
    expect(server?.['administrator_password_wo']).toBe('${var.postgres_password}');
  });

  it('is reached by private endpoints alone where there is a network', () => {
    const endpoints = [...resources('pvc-prod').keys()].filter((address) =>
      address.startsWith('azurerm_private_endpoint.'),
    );
    expect(sorted(endpoints.map((address) => address.split('.')[1]))).toEqual([
      'endpoint-cosmos',
      'endpoint-openai-frc',
      'endpoint-openai-swc',
      'endpoint-redis',
      'endpoint-vault',
    ]);
    for (const address of [
      'azurerm_cosmosdb_account.cosmos',
      'azurerm_cognitive_account.openai-swc',
      'azurerm_key_vault.vault',
    ])
      expect(attribute('pvc-prod', address, 'public_network_access_enabled')).toBe(false);
    expect(attribute('pvc-prod', 'azurerm_managed_redis.redis', 'public_network_access')).toBe(
      'Disabled',
    );
    expect(app('pvc-prod').ingress.external_enabled).toBe(true);
  });

  it('is reached by names of its own where the gateway has no public address', async () => {
    const stack = await stackOf({ network: { isInternal: true } });
    expect(stack.get('azurerm_private_dns_a_record.names-of-apps')).toMatchObject({
      name: '*',
      records: ['${azurerm_container_app_environment.environment.static_ip_address}'],
    });
    expect(stack.get('azurerm_container_app_environment.environment')).toMatchObject({
      internal_load_balancer_enabled: true,
    });
    expect(stack.get('azurerm_network_security_group.network-rules')).toMatchObject({
      security_rule: [],
    });
  });

  it('gets its secrets from those who are named, and from nobody else', async () => {
    const writer = '44444444-4444-4444-8444-444444444444';
    const stack = await stackOf({
      secretWriters: [{ principalId: writer, principalType: 'Group' }],
    });
    const writers = [...stack.values()].filter(
      ({ role_definition_name: role }) => role === 'Key Vault Secrets Officer',
    );
    expect(writers).toMatchObject([{ principal_id: writer, principal_type: 'Group' }]);
  });

  it('is made, or brought along', async () => {
    const stack = await stackOf({
      topology: 'separate',
      redis: { kind: 'existing' },
      store: { kind: 'existing-cosmos', endpoint: 'https://theirs.documents.azure.com' },
    });
    const types = typesIn(stack);
    for (const type of ['managed_redis', 'cosmosdb_account', 'postgresql_flexible_server'])
      expect(types.has(`azurerm_${type}`)).toBe(false);
  });
});

describe('several regions', () => {
  it('are a stack each, with proxies alone, which share what the first one has', () => {
    const further = resources('contoso-prod-neu');
    expect(attribute('contoso-prod-neu', 'azurerm_resource_group.group', 'location')).toBe(
      'northeurope',
    );
    expect([...typesIn(further)]).not.toContain('azurerm_managed_redis');
    const environment = app('contoso-prod-neu').template.container[0]?.env ?? [];
    expect(environment.find(({ name }) => name === 'REDIS_HOST')?.value).toBe(
      'pvc-prod-contosogw-amr-weu.westeurope.redis.azure.net',
    );
    expect(attribute('contoso-prod', 'azurerm_managed_redis.redis', 'name')).toBe(
      'pvc-prod-contosogw-amr-weu',
    );
  });

  it('have one address, and no other public entrance', () => {
    const front = resources('contoso-prod-frontdoor');
    const origins = [...front].filter(([address]) =>
      address.startsWith('azurerm_cdn_frontdoor_origin.'),
    );
    expect(origins).toHaveLength(2);
    for (const [, origin] of origins)
      expect(origin).toHaveProperty('private_link.private_link_target_id');
    expect(
      attribute('contoso-prod-frontdoor', 'azurerm_cdn_frontdoor_route.route', 'cache'),
    ).toBeUndefined();
    for (const stack of ['contoso-prod', 'contoso-prod-neu'])
      expect(
        attribute(stack, 'azurerm_container_app_environment.environment', 'public_network_access'),
      ).toBe('Disabled');
  });

  it('refuse addresses that are not on the list by that of the connection', () => {
    const rules = attribute(
      'contoso-prod-frontdoor',
      'azurerm_cdn_frontdoor_firewall_policy.firewall',
      'custom_rule',
    ) as Json[];
    expect(rules.find(({ name }) => name === 'notAllowed')).toMatchObject({
      action: 'Block',
      match_condition: [{ match_variable: 'SocketAddr', negation_condition: true }],
    });
  });
});

describe('money and alerts', () => {
  it('are watched where there is somebody to tell', () => {
    const alerts = [...resources('pvc-prod').keys()]
      .filter((address) => /_alert|rules_alert_v2/.test(address))
      .map((address) => address.split('.alert-')[1]);
    expect(sorted(alerts)).toEqual([
      'availability',
      'redis-memory',
      'restarts',
      'server-errors',
      'slow',
      'store-throttled',
      'throttled',
    ]);
    expect(
      attribute('pvc-prod', 'azurerm_consumption_budget_resource_group.budget', 'amount'),
    ).toBe(25_000);
    expect(attribute('pvc-prod', 'azurerm_application_insights.insights', 'name')).toBe(
      'pvc-prod-aigateway-ai-san',
    );
  });

  it('ask for fields that the lines of the gateway have', () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/reference/logs.md'), 'utf8');
    const queries = [...resources('pvc-prod')]
      .filter(([address]) => address.includes('query_rules'))
      .map(([, { criteria }]) => (criteria as { query: string }[])[0]?.query ?? '');
    expect(queries).toHaveLength(2);
    for (const query of queries) {
      for (const [, field = ''] of query.matchAll(/\bline\.(\w+)/g))
        expect(page).toContain(`\`${field}\``);
      for (const [, event = ''] of query.matchAll(/line\.event\) == "(\w+)"/g))
        expect(page).toContain(`## \`${event}\``);
    }
  });
});

describe('the code', () => {
  it('holds no id of a tenant or a subscription: a client has its own in its file, or says them when it applies', () => {
    const folder = join(import.meta.dirname, '..', 'src');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    const ids = files.flatMap((name) => [
      ...readFileSync(join(folder, name), 'utf8').matchAll(
        /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g,
      ),
    ]);
    // The role that Cosmos DB has in every account.
    expect(ids.map(([id]) => id)).toEqual(['00000000-0000-0000-0000-000000000002']);
    const { variable } = committed.get('pvc-prod') as { variable: Json };
    expect(Object.keys(variable).toSorted()).toEqual(['image', 'subscription_id', 'tenant_id']);
  });

  it('loads no more of the provider than it uses', () => {
    const sources = readdirSync(join(import.meta.dirname, '..', 'src'), {
      recursive: true,
      encoding: 'utf8',
    })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(import.meta.dirname, '..', 'src', name), 'utf8'));
    const imports = sources.flatMap((text) => [...text.matchAll(/from '(@cdktn\/[^']+)'/g)]);
    expect(imports.length).toBeGreaterThan(20);
    for (const [, from] of imports) expect(from).toMatch(/\/lib\/[a-z0-9-]+\/index\.js$/);
  });
});
