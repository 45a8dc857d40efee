import { readdirSync, readFileSync } from 'node:fs';
import { type Json, snapshotFile, snapshotFolder } from '../snapshot-files.ts';
import { type Charge, chargesOf } from './charges.ts';
import { everywhere, perUnit, type Price, priceOf } from './meters.ts';

/** A charge with its price, where one is kept. */
export type Line = Charge & {
  /** US dollars for one of the unit. */
  readonly usd: number | undefined;
  readonly price: Price | undefined;
};

/** What a stack costs a month. */
export type Sheet = {
  /** `CLIENT-ENVIRONMENT`, with what a further stack of it is for. */
  readonly stack: string;
  readonly lines: readonly Line[];
  /** Of the alert, in the currency of the subscription. */
  readonly budget: number | undefined;
};

/** A sum of what is known, and how well. */
export type Sum = {
  /** US dollars a month. */
  readonly usd: number;
  /** How many charges of it have no price. */
  readonly unknown: number;
  /** Whether a price is of another region. */
  readonly isAbout: boolean;
};

/** The Terraform JSON that is kept of every stack, by their names. */
export function keptStacks(): Map<string, Json> {
  const names = readdirSync(snapshotFolder).map((file) => file.replace(/\.tf\.json$/, ''));
  return new Map(
    names
      .toSorted()
      .map((name) => [name, JSON.parse(readFileSync(snapshotFile(name), 'utf8')) as Json]),
  );
}

/**
 * What a stack costs.
 *
 * @throws {Error} as `chargesOf` and `perUnit`
 */
export function sheetOf(stack: string, json: Json, kept: readonly Price[]): Sheet {
  const lines = chargesOf(json).map((charge): Line => {
    const price = charge.meter && priceOf(charge.meter, kept);
    return { ...charge, price, usd: price && perUnit(price, charge.unit) };
  });
  const { resource } = json as { resource: { [type: string]: { [id: string]: object } } };
  const [budget] = Object.values(resource['azurerm_consumption_budget_resource_group'] ?? {});
  return { stack, lines, budget: (budget as { amount: number } | undefined)?.amount };
}

/** What is paid a month for charges of some kinds, whatever callers do. */
export function sumOf({ lines }: Sheet, ...kinds: readonly Charge['kind'][]): Sum {
  const paid = lines.filter(({ kind, quantity }) => kinds.includes(kind) && quantity > 0);
  return {
    usd: paid.reduce((sum, { quantity, usd }) => sum + quantity * (usd ?? 0), 0),
    unknown: paid.filter(({ usd }) => usd === undefined).length,
    isAbout: paid.some(isOfAnotherRegion),
  };
}

/** Whether a line is priced as in another region, for want of its own. */
export function isOfAnotherRegion({ meter, price }: Line): boolean {
  return price !== undefined && ![meter?.armRegionName, everywhere].includes(price.armRegionName);
}
