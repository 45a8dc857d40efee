import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withCosts } from '../../scripts/costs.ts';
import type { ConfigurationInput } from '../src/config.ts';
import { type Charge, chargesOf } from '../src/cost/charges.ts';
import { keptPrices, type Meter, perUnit, type Price, priceOf } from '../src/cost/meters.ts';
import { keptStacks, sheetOf, sumOf } from '../src/cost/sheet.ts';
import { stackWith } from './small-stack.ts';

const stacks = keptStacks();
const kept = keptPrices();

async function chargesWith(more: Partial<ConfigurationInput>): Promise<Charge[]> {
  return chargesOf(await stackWith(more));
}

const fixed = (charges: readonly Charge[], type: string) =>
  charges
    .filter(({ resource, kind }) => resource.startsWith(`azurerm_${type}.`) && kind === 'fixed')
    .map(({ what, quantity }) => [what, quantity]);

describe('the page of costs', () => {
  it('is what scripts/reference.ts writes', () => {
    const page = readFileSync(
      join(import.meta.dirname, '..', '..', 'docs', 'operations', 'cost.md'),
      'utf8',
    );
    expect(withCosts(page)).toBe(page);
    for (const stack of stacks.keys()) expect(page).toContain(`### ${stack}\n`);
  });
});

describe('what an environment is charged for', () => {
  it.each([...stacks])('is known of %s as a whole', (stack, json) => {
    expect(sheetOf(stack, json, kept).lines).not.toEqual([]);
  });

  it('is known of every type that a stack may have', () => {
    const folder = join(import.meta.dirname, '..', 'src', 'stacks');
    const imported = readdirSync(folder).flatMap((file) => [
      ...readFileSync(join(folder, file), 'utf8').matchAll(/provider-azurerm\/lib\/([\w-]+)\//g),
    ]);
    const types = imported
      .map(([, name = '']) => name)
      .filter((name) => !/^(data-|provider$)/.test(name));
    expect(types.length).toBeGreaterThan(30);
    for (const name of types)
      expect(chargesOf({ resource: { [`azurerm_${name.replaceAll('-', '_')}`]: {} } })).toEqual([]);
  });

  it('is refused for a resource of which nothing is known, and for a size of one', () => {
    expect(() => chargesOf({ resource: { azurerm_redis_cache: { redis: {} } } })).toThrow(
      'nothing says what azurerm_redis_cache costs',
    );
    const vault = { sku_name: 'premium' };
    expect(() => chargesOf({ resource: { azurerm_key_vault: { vault } } })).toThrow(
      'azurerm_key_vault.vault: nothing says what premium costs',
    );
  });

  it('is nothing in dev while nobody calls', () => {
    const sheet = sheetOf('pvc-dev', stacks.get('pvc-dev') ?? {}, kept);
    expect(sheet.lines.filter(({ kind }) => kind !== 'use')).toEqual([]);
    expect(sumOf(sheet, 'fixed', 'idle')).toEqual({ usd: 0, unknown: 0, isAbout: false });
  });

  it('grows with replicas that wait, and is bounded by those that may work', async () => {
    const charges = await chargesWith({ proxy: { cpu: '1', minReplicas: 2, maxReplicas: 5 } });
    const cores = charges.filter(({ unit }) => unit === 'core second');
    expect(cores.map(({ kind, quantity, most }) => [kind, quantity, most])).toEqual([
      ['idle', 2 * 730 * 3600, undefined],
      ['use', 0, 5 * 730 * 3600],
    ]);
    const memory = charges.filter(({ unit }) => unit === 'GiB second');
    expect(memory[0]?.quantity).toBe(2 * 2 * 730 * 3600);
  });

  it('counts both nodes of a Redis and both servers of PostgreSQL', async () => {
    const separate = {
      topology: 'separate',
      store: { kind: 'postgres', storageGb: 64 },
      redis: { kind: 'managed' },
    } as const;
    const one = await chargesWith({
      ...separate,
      redis: { ...separate.redis, isHighlyAvailable: false },
    });
    expect(fixed(one, 'managed_redis')).toEqual([['one node of B0', 730]]);
    expect(fixed(one, 'postgresql_flexible_server')).toEqual([
      ['one server of B_Standard_B1ms', 730],
      ['64 GB of disk of one server', 64],
    ]);
    const two = await chargesWith({
      ...separate,
      store: { ...separate.store, sku: 'GP_Standard_D4ds_v5', isHighlyAvailable: true },
    });
    expect(fixed(two, 'managed_redis')).toEqual([['2 nodes of B0', 1460]]);
    expect(fixed(two, 'postgresql_flexible_server')).toEqual([
      ['2 servers of GP_Standard_D4ds_v5', 1460],
      ['64 GB of disk of 2 servers', 128],
    ]);
    const compute = two.find(({ what }) => what.startsWith('2 servers'))?.meter;
    expect(compute).toMatchObject({
      productName:
        'Azure Database for PostgreSQL Flexible Server General Purpose Ddsv5 Series Compute',
      skuName: '4 vCore',
      meterName: 'vCore',
    });
  });

  it('counts a tenth of what Cosmos DB may scale to, and by request where it does not', async () => {
    const all = { topology: 'all', proxy: { maxReplicas: 1 } } as const;
    const scaled = await chargesWith({ ...all, store: { kind: 'cosmos', maxThroughput: 1000 } });
    expect(fixed(scaled, 'cosmosdb_sql_container').map(([, quantity]) => quantity)).toEqual([
      730, 730,
    ]);
    expect(scaled.map(({ what }) => what)).not.toContain('request units');
    const byRequest = await chargesWith({ ...all, store: { kind: 'cosmos' } });
    expect(fixed(byRequest, 'cosmosdb_sql_container')).toEqual([]);
    expect(byRequest.map(({ what }) => what)).toContain('request units');
  });

  it('counts provisioned units by the hour, in the region of their account', async () => {
    const deployment = { name: 'a', model: 'gpt-4o', capacity: 15 };
    const charges = await chargesWith({
      openai: [
        {
          region: 'francecentral',
          deployments: [{ ...deployment, sku: 'DataZoneProvisionedManaged' }],
        },
      ],
    });
    const units = charges.find(({ what }) => what.includes('provisioned'));
    expect(units).toMatchObject({ kind: 'fixed', quantity: 15 * 730 });
    expect(units?.meter).toMatchObject({
      meterName: 'Provisioned Managed Data Zone Unit',
      armRegionName: 'francecentral',
    });
  });

  it('counts what a network brings along', async () => {
    expect(fixed(await chargesWith({}), 'container_app_environment')).toEqual([]);
    const charges = await chargesWith({ network: {} });
    expect(fixed(charges, 'container_app_environment')).toEqual([
      ['2 public addresses', 1460],
      ['load balancer', 730],
    ]);
    expect(fixed(charges, 'private_endpoint')).toEqual([
      ['endpoint', 730],
      ['endpoint', 730],
    ]);
    const internal = await chargesWith({ network: { isInternal: true } });
    expect(fixed(internal, 'container_app_environment')[0]).toEqual(['one public address', 730]);
  });

  it('is within the budget of whoever has one, as far as prices are known', () => {
    const sheets = [...stacks].map(([stack, json]) => sheetOf(stack, json, kept));
    const budgets = sheets.filter(({ budget }) => budget !== undefined);
    expect(budgets.map(({ stack }) => stack)).toEqual(['pvc-prod', 'pvc-staging']);
    for (const sheet of budgets)
      expect([sheet.stack, sumOf(sheet, 'fixed', 'idle').usd < (sheet.budget ?? 0)]).toEqual([
        sheet.stack,
        true,
      ]);
  });
});

describe('a price', () => {
  const meter: Meter = { serviceName: 'S', meterName: 'M', armRegionName: 'here' };
  const price: Price = {
    serviceName: 'S',
    productName: 'P',
    skuName: 'K',
    meterName: 'M',
    armRegionName: 'there',
    unitOfMeasure: '10K',
    usd: 5,
    source: 'https://prices.example/',
    retrieved: '2026-11-27',
  };

  it('is of its own region before any other', () => {
    const here = { ...price, armRegionName: 'here' };
    expect(priceOf(meter, [price])).toBe(price);
    expect(priceOf(meter, [price, here])).toBe(here);
    expect(priceOf({ ...meter, meterName: 'N' }, [price, here])).toBeUndefined();
    const everywhere = { ...price, armRegionName: 'Global' };
    expect(priceOf(meter, [price, everywhere])).toBe(everywhere);
    expect(priceOf(meter, [everywhere, here])).toBe(here);
  });

  it('is counted in a known unit, never in a guessed one', () => {
    expect(perUnit(price, 'piece')).toBe(5 / 10_000);
    expect(() => perUnit(price, 'hour')).toThrow('is priced by "10K"');
  });

  it('of every kept one is of a meter that somebody is charged by, in its unit', () => {
    const charges = [...stacks.values()].flatMap(chargesOf);
    for (const one of kept) {
      const users = charges.filter(({ meter: of }) => of && priceOf(of, kept) === one);
      expect([one.meterName, users.length > 0]).toEqual([one.meterName, true]);
      for (const { unit } of users) expect(perUnit(one, unit)).toBeGreaterThan(0);
    }
  });
});
