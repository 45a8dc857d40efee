import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { allConfigurations } from '../src/clients.ts';
import { stacksOf } from '../src/environment-stacks.ts';
import { plainStacks } from '../src/snapshots.ts';

describe('the stacks of an environment', () => {
  it('are those that are synthesized', async () => {
    const named = (await allConfigurations()).flatMap((one) =>
      stacksOf(one).map(({ name }) => name),
    );
    expect(named.toSorted()).toEqual([...(await plainStacks()).keys()]);
  });

  it('are listed in the order in which they are applied, with what scripts need of each', () => {
    const file = join(import.meta.dirname, '..', 'src', 'environment-stacks.ts');
    const listed = (...args: string[]) =>
      spawnSync(process.execPath, [file, ...args], { encoding: 'utf8' });
    expect(listed('--client', 'contoso', '--env', 'prod').stdout).toBe(
      [
        'contoso-prod westeurope pvc-prod-contosogw-rg-weu pvc-prod-contosogw-ca-weu pvc-prd-contosogw-kv-weu',
        'contoso-prod-neu northeurope pvc-prod-contosogw-rg-neu pvc-prod-contosogw-ca-neu pvc-prd-contosogw-kv-neu',
        'contoso-prod-frontdoor - - - -',
        '',
      ].join('\n'),
    );
    expect(listed('--client', 'pvc', '--env', 'test').status).toBe(1);
    expect(listed('--client', 'pvc').stderr).toContain('--client and --env');
  });
});
