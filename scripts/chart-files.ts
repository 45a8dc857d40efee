import { Document, isMap, isScalar, type Pair } from 'yaml';
import { chartValues, type ValueRow, valueRows, valuesSchema } from './chart-values.ts';

const written = 'Written by scripts/reference.ts from scripts/chart-values.ts';

/** Text of the chart's values.yaml: every value with what it does. */
export function valuesYaml(): string {
  const document = new Document(chartValues.parse({}), { aliasDuplicateObjects: false });
  document.commentBefore = ` ${written}; a test fails when it is behind.`;
  for (const { path, description } of valueRows()) {
    const keys = path.split('.');
    const pair = pairAt(document, keys);
    if (pair === undefined || !isScalar(pair.key)) throw new Error(`no value at ${path}`);
    if (description !== '') pair.key.commentBefore = ` ${plain(description)}`;
  }
  const { contents } = document;
  for (const { key } of isMap(contents) ? contents.items.slice(1) : [])
    if (isScalar(key)) key.spaceBefore = true;
  return document.toString({ lineWidth: 0 });
}

function pairAt(document: Document, keys: readonly string[]): Pair | undefined {
  const parent = keys.length === 1 ? document.contents : document.getIn(keys.slice(0, -1), true);
  if (!isMap(parent)) return undefined;
  return parent.items.find(({ key }) => isScalar(key) && key.value === keys.at(-1));
}

/** Backquotes are for Markdown. */
function plain(description: string): string {
  return description.replaceAll('`', '');
}

/** Text of the chart's values.schema.json. */
export function valuesSchemaJson(): string {
  return `${JSON.stringify(valuesSchema(), undefined, 2)}\n`;
}

const begin = `<!-- values: ${written} -->`;
const end = '<!-- /values -->';

/** The chart's README with the table of all values between its marks brought up to date. */
export function withValueTable(readme: string): string {
  const from = readme.indexOf(begin);
  const to = readme.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${begin} … ${end} are missing`);
  const rows = valueRows().filter(({ path }) => !/^(controlPlane|all)\.(?!persistence)/.test(path));
  const table = [
    '| Value | What it does | Unless set |',
    '| --- | --- | --- |',
    ...rows.map(rowOf),
  ];
  return `${readme.slice(0, from)}${begin}\n\n${table.join('\n')}\n\n${readme.slice(to)}`;
}

function rowOf({ path, description, fallback }: ValueRow): string {
  const shown = fallback === undefined || fallback === '' ? '' : `\`${JSON.stringify(fallback)}\``;
  return `| \`${path}\` | ${description.replaceAll('|', String.raw`\|`)} | ${shown} |`;
}
