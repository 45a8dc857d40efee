import type { Audit, AuditEntry, AuditQuery, AuditRecord } from '../audit.ts';
import { toColumn } from '../sql/text.ts';
import { auditPartition, type Commits } from './commits.ts';
import { unpack, type Items } from './items.ts';

type AuditItem = { sequence: number; hash: string; entry: string };

const columns = ['actor', 'objectKind', 'objectId', 'action'] as const;

/** The chain in Cosmos DB: its records are written by the commits that they are about. */
export function cosmosAudit(items: Items, commits: Commits): Audit {
  return {
    async list(asked) {
      const newest = (await commits.recover()).sequence;
      const from = Math.min(newest, (asked.before ?? Infinity) - 1);
      const { condition, parameters } = filterOf(asked, [from]);
      const records: AuditRecord[] = [];
      for (const pk of partitionsBack(from)) {
        const left = asked.limit - records.length;
        const text = `SELECT TOP ${left} c.sequence, c.hash, c.entry FROM c WHERE c.sequence <= @0${condition} ORDER BY c.sequence DESC`;
        for await (const item of items.query<AuditItem>(pk, text, parameters)) {
          records.push(await recordOf(item));
        }
        if (records.length >= asked.limit) break;
      }
      return records;
    },
    async count(asked) {
      const { sequence } = await commits.recover();
      const { condition, parameters } = filterOf(asked, ['audit']);
      const text = `SELECT VALUE COUNT(1) FROM c WHERE c.kind = @0${condition}`;
      let total = 0;
      for (const pk of partitionsBack(sequence)) {
        for await (const count of items.query<number>(pk, text, parameters)) total += count;
      }
      return total;
    },
    async from(sequence, limit) {
      const newest = (await commits.recover()).sequence;
      const records: AuditRecord[] = [];
      for (let next = sequence; next <= newest && records.length < limit;) {
        const before = records.length;
        const text = `SELECT TOP ${limit - before} c.sequence, c.hash, c.entry FROM c WHERE c.sequence >= @0 ORDER BY c.sequence`;
        for await (const item of items.query<AuditItem>(auditPartition(next), text, [next])) {
          records.push(await recordOf(item));
        }
        // A hole is for the verifier to find.
        if (records.length === before) break;
        next = (records.at(-1)?.sequence ?? next) + 1;
      }
      return records;
    },
    load: (records) => commits.adopt(records),
  };
}

/** The partitions that have records up to one, the newest first. */
function partitionsBack(sequence: number): string[] {
  const newest = Number(auditPartition(Math.max(sequence, 0)).slice('audit-'.length));
  return Array.from({ length: newest + 1 }, (_, at) => `audit-${newest - at}`);
}

function filterOf(
  asked: Omit<AuditQuery, 'limit' | 'before'>,
  parameters: (string | number)[],
): { condition: string; parameters: (string | number)[] } {
  const conditions: string[] = [];
  const add = (name: string, way: string, value: string | number | undefined): void => {
    if (value === undefined) return;
    conditions.push(` AND c.audit.${name} ${way} @${parameters.length}`);
    parameters.push(value);
  };
  for (const name of columns) {
    const value = asked[name];
    add(name, '=', value === undefined ? undefined : toColumn(value));
  }
  add('atMs', '>=', asked.fromMs);
  add('atMs', '<', asked.toMs);
  return { condition: conditions.join(''), parameters };
}

async function recordOf({ sequence, hash, entry }: AuditItem): Promise<AuditRecord> {
  return { ...(JSON.parse(await unpack(entry)) as AuditEntry), sequence, hash };
}
