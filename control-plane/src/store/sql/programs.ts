import type { AuditEntry } from '../audit.ts';
import type { PreparedChange } from '../prepared-entities.ts';
import { auditPrograms } from './audit-programs.ts';
import type { Dialect } from './dialect.ts';
import { entityPrograms } from './entity-programs.ts';
import { ledgerPrograms } from './ledger-programs.ts';
import { migrationPrograms } from './migration-programs.ts';
import type { Program } from './program.ts';
import { tablePrograms } from './table-programs.ts';

/** All that a store does, by name. */
export function storePrograms(dialect: Dialect) {
  const entities = entityPrograms(dialect);
  const audit = auditPrograms(dialect);
  return {
    ...entities,
    ...ledgerPrograms(dialect),
    ...audit,
    ...migrationPrograms(dialect),
    ...tablePrograms(dialect),
    /**
     * Changes and the record of them. The audit's head comes last: it is held the shortest, and nobody waits for entities who has it.
     *
     * @param changes - sorted by kind and id
     */
    *commit(changes: readonly PreparedChange[], entry: AuditEntry | undefined): Program<void> {
      if (changes.length > 0) yield* entities.writeEntities(changes);
      if (entry) yield* audit.appendAudit(entry);
    },
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
  'readRows',
] satisfies ProgramName[]);

export function isReading(name: ProgramName): boolean {
  return reading.has(name);
}
