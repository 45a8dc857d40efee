import type { Audit, AuditEntry, AuditQuery, AuditRecord } from '../audit.ts';
import type { AuditFilter, AuditRow } from './audit-programs.ts';
import type { Run } from './programs.ts';
import { toColumn } from './text.ts';

const columns = {
  actor: 'actor',
  objectKind: 'object_kind',
  objectId: 'object_id',
  action: 'action',
} as const;

export function sqlAudit(run: Run): Audit {
  return {
    async list(asked) {
      const rows = await run('listAudit', filterOf(asked), asked.before, asked.limit);
      return rows.map(recordOf);
    },
    count: (asked) => run('countAudit', filterOf(asked)),
    from: async (sequence, limit) => (await run('auditFrom', sequence, limit)).map(recordOf),
    load: (records) => run('loadAudit', records),
  };
}

function filterOf(asked: Omit<AuditQuery, 'limit'>): AuditFilter {
  const names = Object.keys(columns) as (keyof typeof columns)[];
  const where = names.flatMap((name) => {
    const value = asked[name];
    return value === undefined ? [] : [{ column: columns[name], value: toColumn(value) }];
  });
  return { where, fromMs: asked.fromMs, toMs: asked.toMs };
}

function recordOf({ sequence, hash, entry }: AuditRow): AuditRecord {
  return { ...(JSON.parse(entry) as AuditEntry), sequence, hash };
}
