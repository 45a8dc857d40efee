/**
 * Rebuilds the price file from a table of model prices (CSV, one row per model, US dollars per token):
 *
 *   node scripts/prices.ts --from table.csv [--date 2026-11-21] [--check]
 *
 * Shows what changed against the file as it is. With `--check` nothing is written, and drift is exit code 1. The same
 * table and date give the same bytes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { picoUsd } from '../contract/src/money.ts';
import type { PriceEntry, PriceFile } from '../contract/src/prices.ts';
import type { PriceRecord } from '../contract/src/records.ts';

const target = new URL('../contract/data/prices.json', import.meta.url);

type Row = ReadonlyMap<string, string>;

function readRows(table: string): Row[] {
  const [head = '', ...lines] = table.split(/\r?\n/).filter((line) => line !== '');
  if (table.includes('"'))
    throw new Error('the table has quoted cells, which are not expected in it');
  const columns = head.split(',');
  return lines.map((line) => {
    const cells = line.split(',');
    if (cells.length !== columns.length)
      throw new Error(`a row has ${cells.length} cells: ${line.slice(0, 40)}`);
    return new Map(columns.map((column, index) => [column, cells[index] ?? '']));
  });
}

function price(row: Row, column: string): number | undefined {
  const cell = row.get(column) ?? '';
  if (cell === '') return undefined;
  const pico = picoUsd(cell);
  if (pico === undefined) throw new Error(`${row.get('name')}: ${column} is no price`);
  return pico;
}

/** Drops what is not known, so that the file holds facts only. */
function known<Fields extends object>(
  fields: Fields,
): { [Key in keyof Fields]?: NonNullable<Fields[Key]> } {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as never;
}

function triple(
  row: Row,
  suffix: string,
): { input: number; output: number; cachedInput?: number } | undefined {
  const input = price(row, `input_cost_per_token${suffix}`);
  const output = price(row, `output_cost_per_token${suffix}`);
  if (input === undefined || output === undefined) return undefined;
  const cachedInput = price(row, `cache_read_input_token_cost${suffix}`);
  return { input, output, ...(cachedInput === undefined ? {} : { cachedInput }) };
}

function prices(row: Row): PriceRecord | undefined {
  const input = price(row, 'input_cost_per_token');
  const output =
    price(row, 'output_cost_per_token') ?? (row.get('mode') === 'embedding' ? 0 : undefined);
  if (input === undefined || output === undefined) return undefined;
  const above = triple(row, '_above_272k_tokens');
  const tiers = known({
    priority: triple(row, '_priority'),
    flex: triple(row, '_flex'),
    batch: triple(row, '_batches'),
  });
  return {
    input,
    output,
    ...known({
      cachedInput: price(row, 'cache_read_input_token_cost'),
      cacheWrite: price(row, 'cache_creation_input_token_cost'),
      audioInput: price(row, 'input_cost_per_audio_token'),
      audioOutput: price(row, 'output_cost_per_audio_token'),
      long: above && { aboveInputTokens: 272_000, ...above },
      tiers: Object.keys(tiers).length > 0 ? tiers : undefined,
    }),
  };
}

function integer(cell: string | undefined): number | undefined {
  return cell === undefined || cell === '' ? undefined : Number.parseInt(cell, 10);
}

function words(cell: string | undefined): string[] | undefined {
  const list = (cell ?? '').split(' ').filter((word) => word !== '');
  return list.length > 0 ? list.toSorted() : undefined;
}

function entry(row: Row): PriceEntry {
  return {
    mode: row.get('mode') ?? '',
    ...known({
      maxInputTokens: integer(row.get('max_input_tokens')),
      maxOutputTokens: integer(row.get('max_output_tokens')),
      retires: row.get('deprecation_date') || undefined,
      supports: words(row.get('capabilities')),
      endpoints: words(row.get('supported_endpoints')),
      prices: prices(row),
    }),
  };
}

/** One line per model: compact, and readable in a review. */
function serialise(file: PriceFile): string {
  const lines = Object.entries(file.models).map(
    ([name, model]) => `${JSON.stringify(name)}:${JSON.stringify(model)}`,
  );
  const { date, source } = file;
  return `{"date":${JSON.stringify(date)},"source":${JSON.stringify(source)},"models":{\n${lines.join(',\n')}\n}}\n`;
}

function readPrevious(): PriceFile {
  try {
    return JSON.parse(readFileSync(target, 'utf8')) as PriceFile;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      return { date: '', source: '', models: {} };
    throw error;
  }
}

function drift(before: PriceFile['models'], after: PriceFile['models']): string[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return names.flatMap((name) => {
    const [old, now] = [before[name], after[name]];
    if (JSON.stringify(old) === JSON.stringify(now)) return [];
    if (!old) return [`+ ${name}`];
    return now ? [`~ ${name}: ${JSON.stringify(old)} → ${JSON.stringify(now)}`] : [`- ${name}`];
  });
}

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    date: { type: 'string' },
    check: { type: 'boolean', default: false },
  },
});
if (values.from === undefined) {
  console.error('usage: node scripts/prices.ts --from table.csv [--date YYYY-MM-DD] [--check]');
  process.exit(2);
}
const previous = readPrevious();
const rows = readRows(readFileSync(values.from, 'utf8'));
const named = rows.map((row): [string, PriceEntry] => [row.get('name') ?? '', entry(row)]);
const models = Object.fromEntries(named.toSorted(([a], [b]) => (a < b ? -1 : 1)));
const changes = drift(previous.models, models);
console.log(changes.length > 0 ? changes.join('\n') : 'no drift');

if (values.check) process.exit(changes.length > 0 ? 1 : 0);
const date =
  values.date ?? (changes.length > 0 ? new Date().toISOString().slice(0, 10) : previous.date);
const source = "Facts of LiteLLM's price map (MIT), provider azure; see NOTICE";
writeFileSync(target, serialise({ date, source, models }));
