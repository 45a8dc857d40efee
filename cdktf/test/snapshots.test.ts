import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { forAzurerm5 } from '../src/azurerm-5.ts';
import { allConfigurations } from '../src/clients.ts';
import { replacements, resourcesOf } from '../src/replacements.ts';
import { snapshotFile, snapshotFolder, type Json } from '../src/snapshot-files.ts';
import { plainStacks } from '../src/snapshots.ts';
import { stackWith } from './small-stack.ts';

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

describe('a stack for azurerm 5', () => {
  it.each([...stacks])('has the names of that, and %s keeps its own', (_name, stack) => {
    const before = structuredClone(stack);
    const names = JSON.stringify(forAzurerm5(stack));
    expect(names).not.toMatch(/"(local_authentication_disabled|private_dns_zone_name|zone_name)":/);
    expect(names).not.toMatch(/"private_dns_zone_id":"[^"]*\.name\}"/);
    expect(stack).toEqual(before);
  });
});

describe('a change of names', () => {
  it('is told as what it destroys', async () => {
    const lines = replacements(await stackWith({}), await stackWith({ project: 'gateway' }));
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
    expect(replacements(await stackWith({ registry }), await stackWith({}))).toEqual([
      'azurerm_role_assignment.grant-proxy-registry would be destroyed',
    ]);
  });

  it('is told of what Azure cannot change on a resource', async () => {
    const changed = await stackWith({ network: {} });
    expect(replacements(await stackWith({}), changed)).toEqual([
      expect.stringMatching(
        /^azurerm_container_app_environment\.environment would be destroyed .*infrastructure_subnet_id/,
      ),
    ]);
  });

  it('is none where only numbers change', async () => {
    const changed = await stackWith({ proxy: { maxReplicas: 20 } });
    expect(replacements(await stackWith({}), changed)).toEqual([]);
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
