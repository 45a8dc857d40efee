import {
  type LitellmSubject,
  litellmSubjects,
} from '../control-plane/src/import/litellm-tables.ts';
import { withWritten } from './written.ts';

/** The guide with its table of LiteLLM's tables made anew. @throws {Error} for one that has no place for it */
export function withLitellmTables(guide: string): string {
  const rows = litellmSubjects.map(
    ({ subject, tables, fate, how }) =>
      `| ${subject} | ${tables.map(nameOf).join(' ')} | ${words[fate]}: ${how} |`,
  );
  return withWritten(
    guide,
    'control-plane/src/import/litellm-tables.ts',
    ['| | Tables `LiteLLM_…` | |', '| --- | --- | --- |', ...rows].join('\n'),
  );
}

const words: { readonly [fate in LitellmSubject['fate']]: string } = {
  carried: 'carried',
  left: 'not carried',
};

function nameOf(table: string): string {
  return `\`${table.replace('LiteLLM_', '')}\``;
}
