import { sql, type RawBuilder } from 'kysely';
import { canonicalJson, hashOf, type AuditEntry, type AuditRecord } from '../audit.ts';
import type { Columns, Dialect } from './dialect.ts';
import { query, type Program } from './program.ts';
import { toColumn } from './text.ts';

/** One record as a row of the table; the entry as canonical JSON. */
export type AuditRow = { sequence: number; hash: string; entry: string };

/** The newest record. */
export type AuditHead = { sequence: number; hash: string };

/** Which records; texts in the form of columns. */
export type AuditFilter = {
  where: readonly { column: AuditColumn; value: string }[];
  fromMs: number | undefined;
  toMs: number | undefined;
};

export type AuditColumn = 'actor' | 'object_kind' | 'object_id' | 'action';

const auditColumns: Columns = {
  sequence: 'bigint',
  at: 'bigint',
  actor: 'text',
  action: 'text',
  object_kind: 'text',
  object_id: 'text',
  hash: 'text',
  entry: 'text',
};

/** What a store does for the port `Audit`. */
export function auditPrograms(dialect: Dialect) {
  return {
    /** The head is one row that each writer of entities holds until it is done: there is one order, without gaps. */
    *holdAudit(): Program<AuditHead> {
      const [head] = yield* query<AuditHead>(sql`
        select sequence, hash from audit_head ${dialect.forUpdate('audit_head')}`);
      if (head) return head;
      throw new Error('the audit has lost its head: the store was not set up by its migrations');
    },

    *appendAudit(head: AuditHead, entry: AuditEntry): Program<void> {
      const sequence = head.sequence + 1;
      const hash = hashOf(head.hash, entry);
      yield* query(sql`
        insert into audit (sequence, at, actor, action, object_kind, object_id, hash, entry)
        values (${sequence}, ${entry.at}, ${toColumn(entry.actor)}, ${toColumn(entry.action)},
          ${toColumn(entry.objectKind)}, ${toColumn(entry.objectId)}, ${hash}, ${canonicalJson(entry)})`);
      yield* query(sql`update audit_head set sequence = ${sequence}, hash = ${hash}`);
    },

    /** @param records - of another store's chain, in their order */
    *loadAudit(records: readonly AuditRecord[]): Program<void> {
      const rows = records.map(({ sequence, hash, ...entry }) => ({
        sequence,
        at: entry.at,
        actor: toColumn(entry.actor),
        action: toColumn(entry.action),
        object_kind: toColumn(entry.objectKind),
        object_id: toColumn(entry.objectId),
        hash,
        entry: canonicalJson(entry),
      }));
      const names = sql.join(Object.keys(auditColumns).map((name) => sql.ref(name)));
      yield* query(sql`
        insert into audit (${names}) select ${names} from ${dialect.rows(rows, auditColumns)}
        where true
        on conflict (sequence) do nothing`);
      yield* query(sql`
        update audit_head set (sequence, hash) = (select sequence, hash from audit order by sequence desc limit 1)
        where exists (select 1 from audit)`);
    },

    *listAudit(
      filter: AuditFilter,
      before: number | undefined,
      limit: number,
    ): Program<readonly AuditRow[]> {
      const earlier = before === undefined ? sql`` : sql` and sequence < ${before}`;
      return yield* query<AuditRow>(sql`
        select sequence, hash, entry from audit where ${matching(filter)}${earlier}
        order by sequence desc limit ${limit}`);
    },

    *countAudit(filter: AuditFilter): Program<number> {
      const [row] = yield* query<{ total: number }>(
        sql`select count(*) as total from audit where ${matching(filter)}`,
      );
      return row?.total ?? 0;
    },

    *auditFrom(sequence: number, limit: number): Program<readonly AuditRow[]> {
      return yield* query<AuditRow>(sql`
        select sequence, hash, entry from audit where sequence >= ${sequence}
        order by sequence limit ${limit}`);
    },
  };
}

function matching({ where, fromMs, toMs }: AuditFilter): RawBuilder<unknown> {
  const conditions = where.map(({ column, value }) => sql`${sql.ref(column)} = ${value}`);
  if (fromMs !== undefined) conditions.push(sql`at >= ${fromMs}`);
  if (toMs !== undefined) conditions.push(sql`at < ${toMs}`);
  return conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `);
}
