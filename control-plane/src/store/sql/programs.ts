import type { AuditEntry } from '../audit.ts';
import type { PreparedChange, PreparedPremises } from '../prepared-entities.ts';
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
     * Every writer takes it, with a record or without: who has it sees all that was written, and nothing more comes.
     *
     * @param changes - sorted by kind and id
     */
    *commit(
      changes: readonly PreparedChange[],
      entry: AuditEntry | undefined,
      premises: PreparedPremises,
    ): Program<void> {
      if (changes.length > 0) yield* entities.writeEntities(changes);
      const head = yield* audit.holdAudit();
      yield* entities.checkPremises(premises);
      if (entry) yield* audit.appendAudit(head, entry);
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
