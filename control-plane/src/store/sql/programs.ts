import { auditPrograms } from './audit-programs.ts';
import type { Dialect } from './dialect.ts';
import { entityPrograms } from './entity-programs.ts';
import { ledgerPrograms } from './ledger-programs.ts';
import { migrationPrograms } from './migration-programs.ts';
import type { Program } from './program.ts';

/** All that a store does, by name. */
export function storePrograms(dialect: Dialect) {
  return {
    ...entityPrograms(dialect),
    ...ledgerPrograms(dialect),
    ...auditPrograms(dialect),
    ...migrationPrograms(dialect),
  };
}

export type Programs = ReturnType<typeof storePrograms>;
export type ProgramName = keyof Programs;
export type ResultOf<Name extends ProgramName> =
  ReturnType<Programs[Name]> extends Program<infer Result> ? Result : never;

/** Runs a program to its end: a writing one in a transaction, so that it happens as a whole or not at all. */
export type Run = <Name extends ProgramName>(
  name: Name,
  ...args: Parameters<Programs[Name]>
) => Promise<ResultOf<Name>>;

/** The programs that only read, and need no transaction. */
const reading: ReadonlySet<ProgramName> = new Set([
  'getEntities',
  'findEntities',
  'countEntities',
  'usageMark',
  'spend',
  'activity',
  'usageRecords',
  'listAudit',
  'countAudit',
  'auditFrom',
  'appliedMigrations',
] satisfies ProgramName[]);

export function isReading(name: ProgramName): boolean {
  return reading.has(name);
}
