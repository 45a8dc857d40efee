import { keptPrices, type Price, type Unit } from './meters.ts';
import {
  isOfAnotherRegion,
  keptStacks,
  type Line,
  type Sheet,
  sheetOf,
  type Sum,
  sumOf,
} from './sheet.ts';

/** Quantities and prices as a reader takes them in: how many of the unit make one that is shown. */
const shown: { readonly [unit in Unit]: { readonly of: number; readonly name: string } } = {
  'core second': { of: 3600, name: 'core h' },
  'GiB second': { of: 3600, name: 'GiB h' },
  hour: { of: 1, name: 'h' },
  month: { of: 1, name: 'month' },
  GB: { of: 1, name: 'GB' },
  'GB month': { of: 1, name: 'GB month' },
  piece: { of: 1e6, name: 'million' },
};

/** The sheets of all environments as Markdown, made of the snapshots and of the prices that are kept. */
export function costTables(): string {
  const kept = keptPrices();
  const sheets = [...keptStacks()].map(([stack, json]) => sheetOf(stack, json, kept));
  return [summary(sheets), ...sheets.map(section), sources(sheets)].join('\n\n');
}

function summary(sheets: readonly Sheet[]): string {
  const rows = sheets.map((sheet) => {
    const rest = sumOf(sheet, 'fixed', 'idle');
    const budget = sheet.budget === undefined ? '' : `$${number(sheet.budget)}`;
    return `| [${sheet.stack}](#${sheet.stack}) | ${total(sumOf(sheet, 'fixed'))} | ${total(rest)} | ${budget} |`;
  });
  return ['| Stack | Fixed | At rest | Budget |', '|---|---|---|---|', ...rows].join('\n');
}

function section(sheet: Sheet): string {
  const always = grouped(
    sheet.lines.filter(({ kind, quantity }) => kind !== 'use' && quantity > 0),
  );
  const grows = grouped(sheet.lines.filter(({ kind }) => kind === 'use'));
  const paid =
    always.length === 0
      ? 'Nothing is paid for while nobody calls.'
      : [
          '| At rest | | Price | A month |',
          '|---|---|---|---|',
          ...always.map(
            (line) =>
              `| ${named(line)} | ${quantity(line.quantity, line.unit)} | ${price(line)} | ${amount(line)} |`,
          ),
        ].join('\n');
  const more = [
    '| Grows with use | Price | At most a month |',
    '|---|---|---|',
    ...grows.map((line) => {
      const most = line.most === undefined ? '' : quantity(line.most, line.unit);
      const usd =
        line.usd === undefined || line.most === undefined ? '' : dollars(line.most * line.usd);
      return `| ${named(line)} | ${price(line)} | ${[most, usd].filter((text) => text !== '').join(', ')} |`;
    }),
  ].join('\n');
  const parts = [`### ${sheet.stack}`, paid, ...(grows.length === 0 ? [] : [more]), ...left(sheet)];
  return parts.join('\n\n');
}

/** What of the budget is there for the rest, which a reader compares with what is unknown and with what grows. */
function left(sheet: Sheet): string[] {
  if (sheet.budget === undefined) return [];
  const { usd, unknown } = sumOf(sheet, 'fixed', 'idle');
  const rest = `of a budget of $${number(sheet.budget)}, ${dollars(sheet.budget - usd)} are left for calls`;
  return [
    `At rest, ${rest}${unknown === 0 ? '' : `, and for the ${unknown} charges that have no price yet`}.`,
  ];
}

type Group = Line & { readonly count: number };

/** Equal charges of resources of one type are one line. */
function grouped(lines: readonly Line[]): Group[] {
  const groups = new Map<string, Group>();
  for (const line of lines) {
    const key = JSON.stringify([typeOf(line), line.what, line.meter]);
    const group = groups.get(key);
    groups.set(key, {
      ...line,
      count: (group?.count ?? 0) + 1,
      quantity: (group?.quantity ?? 0) + line.quantity,
      ...(line.most !== undefined && { most: (group?.most ?? 0) + line.most }),
    });
  }
  return [...groups.values()];
}

function typeOf({ resource }: Line): string {
  return resource.slice('azurerm_'.length, resource.indexOf('.'));
}

function named(line: Group): string {
  const [, id = ''] = line.resource.split('.');
  const of = line.count === 1 ? id : `${line.count} × ${typeOf(line).replaceAll('_', ' ')}`;
  return `${of}: ${line.what}`;
}

function quantity(units: number, unit: Unit): string {
  const { of, name } = shown[unit];
  if (unit === 'month') return '';
  return unit === 'piece' && units < of ? number(units) : `${number(units / of)} ${name}`;
}

function price(line: Line): string {
  if (line.meter === undefined) return '[as the gateway counts](../../contract/data/prices.json)';
  if (line.usd === undefined) return 'unknown';
  const { of, name } = shown[line.unit];
  const other = isOfAnotherRegion(line) ? ` (${line.price?.armRegionName})` : '';
  return `$${number(line.usd * of)} / ${name}${other}`;
}

function amount({ quantity: units, usd }: Line): string {
  return usd === undefined ? 'unknown' : dollars(units * usd);
}

function total({ usd, unknown, isAbout }: Sum): string {
  const sum = `${isAbout ? 'about ' : ''}${dollars(usd)}`;
  return unknown === 0 ? sum : `${sum}, and ${unknown} without a price`;
}

/** Four digits are what a list price has. */
function number(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: value < 1 ? 4 : 12 });
}

function dollars(value: number): string {
  return `$${value.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** Where each price that is used was read. */
function sources(sheets: readonly Sheet[]): string {
  const used = new Set<Price>(
    sheets.flatMap(({ lines }) => lines.flatMap(({ price: one }) => one ?? [])),
  );
  const rows = [...used].map(
    ({ productName, meterName, armRegionName, usd, unitOfMeasure, source, retrieved }) =>
      `| ${productName} | ${meterName} | ${armRegionName} | $${usd} / ${unitOfMeasure} | [${retrieved}](${source}) |`,
  );
  return [
    '### Prices',
    '',
    '| Product | Meter | Region | Price | Read |',
    '|---|---|---|---|---|',
    ...rows.toSorted(),
  ].join('\n');
}
