import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { allConfigurations } from '../src/clients.ts';
import { configuration, type ConfigurationInput } from '../src/config.ts';
import { replacements, resourcesOf } from '../src/replacements.ts';
import { snapshotFile, snapshotFolder, type Json } from '../src/snapshot-files.ts';
import { plainStacks } from '../src/snapshots.ts';

const stacks = await plainStacks();

describe('the committed snapshots', () => {
  it('are those of the stacks that there are', () => {
    const files = readdirSync(snapshotFolder).map((file) => file.replace(/\.tf\.json$/, ''));
    expect(files.toSorted()).toEqual([...stacks.keys()]);
  });

  it.each([...stacks])(
    'show %s as it would be applied: if not, npm run snapshots, and read the diff',
    (name, stack) => {
      const committed = JSON.parse(readFileSync(snapshotFile(name), 'utf8')) as Json;
      expect(replacements(committed, stack)).toEqual([]);
      expect(stack).toEqual(committed);
    },
  );
});

describe('a change of names', () => {
  const input: ConfigurationInput = {
    client: 'pvc',
    environment: 'dev',
    openai: [
      { region: 'swedencentral', deployments: [{ name: 'a', model: 'gpt-4o', capacity: 1 }] },
    ],
  };
  const stackOf = async (more: Partial<ConfigurationInput>): Promise<Json> => {
    const made = await plainStacks([configuration({ ...input, ...more })]);
    return made.get('pvc-dev') ?? {};
  };

  it('is told as what it destroys', async () => {
    const lines = replacements(await stackOf({}), await stackOf({ project: 'gateway' }));
    expect(lines).toContain(
      'azurerm_key_vault.vault would be destroyed and made anew: name "pvc-dev-aigateway-kv-san" → "pvc-dev-gateway-kv-san"',
    );
  });

  it('is told where a resource goes', async () => {
    const registry = {
      loginServer: 'a.azurecr.io',
      resourceId:
        '/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/a',
    };
    expect(replacements(await stackOf({ registry }), await stackOf({}))).toEqual([
      'azurerm_role_assignment.grant-proxy-registry would be destroyed',
    ]);
  });

  it('is told of what Azure cannot change on a resource', async () => {
    const changed = await stackOf({ network: {} });
    expect(replacements(await stackOf({}), changed)).toEqual([
      expect.stringMatching(
        /^azurerm_container_app_environment\.environment would be destroyed .*infrastructure_subnet_id/,
      ),
    ]);
  });

  it('is none where only numbers change', async () => {
    const changed = await stackOf({ proxy: { maxReplicas: 20 } });
    expect(replacements(await stackOf({}), changed)).toEqual([]);
  });
});

describe('the addresses of environments', () => {
  it('are apart: what one has, no other has', async () => {
    const seen = new Set<string>();
    for (const { client, environment } of await allConfigurations()) {
      const stack = stacks.get(`${client}-${environment}`) ?? {};
      const group = resourcesOf(stack).get('azurerm_resource_group.group')?.['name'] as string;
      expect(seen.has(group)).toBe(false);
      seen.add(group);
    }
  });
});
