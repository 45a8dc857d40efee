import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';

/**
 * A meter of Azure, by the fields that the Retail Prices API is asked for:
 * https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices. Fields that are left out may be anything.
 */
export type Meter = {
  readonly serviceName?: string;
  /** Several where Azure has renamed one. */
  readonly productName?: string | readonly string[];
  readonly skuName?: string;
  readonly meterName?: string;
  /** In place of the whole name, where Azure puts a tier before it. */
  readonly meterNameEnd?: string;
  /** A region of Azure, or the zone of a service that is priced by zones. */
  readonly armRegionName: string;
};

/** How Azure writes a quantity of each unit, and how many of the unit it is. */
const units = {
  'core second': { '1 Second': 1, '1 Hour': 3600 },
  'GiB second': { '1 GiB Second': 1, '1 GiB Hour': 3600 },
  hour: { '1 Hour': 1, '1/Hour': 1 },
  month: { '1/Month': 1, '1 Month': 1, '1': 1 },
  GB: { '1 GB': 1 },
  // Backups of Cosmos DB are of a month although Azure does not write so: https://azure.microsoft.com/pricing/details/cosmos-db/autoscale-provisioned
  'GB month': { '1 GB/Month': 1, '1 GB': 1 },
  piece: { '1': 1, '10': 10, '100': 100, '1K': 1e3, '10K': 1e4, '1M': 1e6 },
} as const satisfies { [unit: string]: { readonly [unitOfMeasure: string]: number } };

export type Unit = keyof typeof units;

const price = z.strictObject({
  serviceName: z.string().min(1),
  productName: z.string().min(1),
  skuName: z.string().min(1),
  meterName: z.string().min(1),
  armRegionName: z.string().min(1),
  unitOfMeasure: z.string().min(1),
  /** US dollars for one `unitOfMeasure`, in the first tier that costs something. */
  usd: z.number().positive(),
  /** Where it was read. */
  source: z.url({ protocol: /^https?$/ }),
  retrieved: z.iso.date(),
});

export type Price = z.infer<typeof price>;

export const priceFile = join(import.meta.dirname, '..', '..', 'cost', 'prices.json');

/**
 * The list prices that are kept.
 *
 * @throws {z.ZodError} for a price that does not say where and when it was read
 */
export function keptPrices(): Price[] {
  return z.array(price).parse(JSON.parse(readFileSync(priceFile, 'utf8')));
}

/** The products that a meter may be of; none = any. */
export function productsOf({ productName = [] }: Meter): readonly string[] {
  return typeof productName === 'string' ? [productName] : productName;
}

/** Whether a price is of a meter, of any region. */
export function isOf(meter: Meter, price: Omit<Price, 'usd' | 'source' | 'retrieved'>): boolean {
  const { serviceName, skuName, meterName, meterNameEnd } = meter;
  const products = productsOf(meter);
  return (
    (serviceName === undefined || price.serviceName === serviceName) &&
    (products.length === 0 || products.includes(price.productName)) &&
    (skuName === undefined || price.skuName === skuName) &&
    (meterName === undefined || price.meterName === meterName) &&
    (meterNameEnd === undefined || price.meterName.endsWith(meterNameEnd))
  );
}

/** Stands in place of a region where Azure has one price for all: of load balancers it keeps none by region, only this. */
export const everywhere = 'Global';

/** The kept price of a meter: of its region or of all, else of another one, which says so itself. */
export function priceOf(meter: Meter, kept: readonly Price[]): Price | undefined {
  const candidates = kept.filter((one) => isOf(meter, one));
  return (
    candidates.find(({ armRegionName }) => armRegionName === meter.armRegionName) ??
    candidates.find(({ armRegionName }) => armRegionName === everywhere) ??
    candidates[0]
  );
}

/**
 * US dollars for one of a unit.
 *
 * @throws {RangeError} for a price in a unit that is not known to be one of these: it must not be guessed
 */
export function perUnit({ usd, unitOfMeasure, meterName }: Price, unit: Unit): number {
  const known: { readonly [unitOfMeasure: string]: number } = units[unit];
  const quantity = known[unitOfMeasure];
  if (quantity === undefined)
    throw new RangeError(
      `${meterName} is priced by "${unitOfMeasure}": how many of "${unit}" is that? Say it in cdktf/src/cost/meters.ts`,
    );
  return usd / quantity;
}
