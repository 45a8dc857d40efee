/**
 * `npm run prices --prefix cdktf`: writes `cost/prices.json`, the list price of every meter that some environment is charged by, as the
 * Retail Prices API has it, which asks for no sign-in. What the API does not have stays as it is, and is named; exit code 1 then.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as z from 'zod';
import { chargesOf } from './charges.ts';
import {
  everywhere,
  isOf,
  keptPrices,
  type Meter,
  perUnit,
  type Price,
  priceFile,
  priceOf,
  productsOf,
  type Unit,
} from './meters.ts';
import { keptStacks } from './sheet.ts';

const answer = z.object({
  Items: z.array(
    z.object({
      serviceName: z.string(),
      productName: z.string(),
      skuName: z.string(),
      meterName: z.string(),
      armRegionName: z.string(),
      unitOfMeasure: z.string(),
      retailPrice: z.number(),
      tierMinimumUnits: z.number(),
      type: z.string(),
    }),
  ),
  NextPageLink: z.string().nullish(),
});

type Item = z.infer<typeof answer>['Items'][number];

/** Questions, and how often each is asked while the API has too many of them. */
const tries = 5;

/** What the API is asked for the prices of a meter. */
export function filterOf(meter: Meter): string {
  const { meterName, meterNameEnd, productName: _products, ...rest } = meter;
  const products = productsOf(meter);
  const either = products.map((name) => `productName eq ${quoted(name)}`).join(' or ');
  return [
    ...Object.entries(rest).map(([field, value]) => `${field} eq ${quoted(value)}`),
    ...(either === '' ? [] : [products.length === 1 ? either : `(${either})`]),
    ...(meterName === undefined ? [] : [`meterName eq ${quoted(meterName)}`]),
    ...(meterNameEnd === undefined ? [] : [`endswith(meterName, ${quoted(meterNameEnd)})`]),
    "priceType eq 'Consumption'",
  ].join(' and ');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * The list price of a meter in its region or, where Azure keeps it by no region, everywhere; that of the first tier that costs something: what is free before it is shared by a whole subscription.
 *
 * @returns undefined where the API has none
 * @throws {Error} for more meters than one: then the filter is too wide, and which one is charged is not known
 */
export async function fetchPrice(
  api: string,
  meter: Meter,
  retrieved: string,
): Promise<Price | undefined> {
  // Some that are of no region have none at all.
  for (const armRegionName of [meter.armRegionName, everywhere, '']) {
    const found = await fetchPriceAt(api, { ...meter, armRegionName }, retrieved);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function fetchPriceAt(
  api: string,
  meter: Meter,
  retrieved: string,
): Promise<Price | undefined> {
  const first = new URL(api);
  first.searchParams.set('currencyCode', 'USD');
  first.searchParams.set('$filter', filterOf(meter));
  const items = (await itemsFrom(first)).filter(
    (item) => item.type === 'Consumption' && item.retailPrice > 0 && isOf(meter, item),
  );
  const meters = new Set(
    items.map((item) => `${item.productName}, ${item.skuName}, ${item.meterName}`),
  );
  if (meters.size > 1)
    throw new Error(`several meters are meant by ${filterOf(meter)}: ${[...meters].join('; ')}`);
  const [item] = items.toSorted((a, b) => a.tierMinimumUnits - b.tierMinimumUnits);
  if (item === undefined) return undefined;
  const { serviceName, productName, skuName, meterName, armRegionName, unitOfMeasure } = item;
  return {
    serviceName,
    productName,
    skuName,
    meterName,
    armRegionName: armRegionName === '' ? everywhere : armRegionName,
    unitOfMeasure,
    usd: item.retailPrice,
    source: first.href,
    retrieved,
  };
}

async function itemsFrom(first: URL): Promise<Item[]> {
  const items: Item[] = [];
  let next: URL | undefined = first;
  while (next !== undefined) {
    const page: z.infer<typeof answer> = await pageFrom(next);
    items.push(...page.Items);
    next = page.NextPageLink ? new URL(page.NextPageLink) : undefined;
    if (next !== undefined && next.origin !== first.origin)
      throw new Error(`${first.origin} goes on at ${next.origin}`);
  }
  return items;
}

async function pageFrom(url: URL): Promise<z.infer<typeof answer>> {
  for (let tried = 1; ; tried += 1) {
    const response = await fetch(url);
    if (response.ok) return answer.parse(await response.json());
    await response.body?.cancel();
    if (tried === tries || (response.status !== 429 && response.status < 500))
      throw new Error(`${url.href} answered ${response.status}`);
    await delay(Number(response.headers.get('retry-after') ?? tried) * 1000);
  }
}

/** Every meter that is charged by, once, with the unit that it is counted in. */
function neededMeters(): Map<string, { readonly meter: Meter; readonly unit: Unit }> {
  const charges = [...keptStacks().values()].flatMap(chargesOf);
  return new Map(
    charges.flatMap(({ meter, unit }) =>
      meter === undefined ? [] : [[filterOf(meter), { meter, unit }] as const],
    ),
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      from: { type: 'string', default: 'https://prices.azure.com/api/retail/prices' },
      to: { type: 'string', default: priceFile },
    },
  });
  const today = new Date().toISOString().slice(0, 10);
  const before = keptPrices();
  const prices = new Map<string, Price>();
  for (const { meter, unit } of neededMeters().values()) {
    const found = await fetchPrice(values.from, meter, today);
    if (found === undefined) {
      process.stderr.write(`no price: ${filterOf(meter)}\n`);
      process.exitCode = 1;
    } else perUnit(found, unit);
    const price = found ?? priceOf(meter, before);
    if (price !== undefined) {
      const { serviceName, productName, skuName, meterName, armRegionName } = price;
      prices.set(
        JSON.stringify([serviceName, productName, skuName, meterName, armRegionName]),
        price,
      );
    }
  }
  const sorted = [...prices].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, price]) => price);
  writeFileSync(values.to, `${JSON.stringify(sorted, null, 2)}\n`);
}
