import { createHash } from 'node:crypto';
import type { Audit, AuditRecord } from '../src/store/audit.ts';
import type { Documents, Kind } from '../src/store/documents.ts';
import {
  absent,
  type Change,
  ConflictError,
  type Entities,
  indexes,
  type Query,
  type Stored,
  UniqueError,
} from '../src/store/entities.ts';
import type { Ledger } from '../src/store/ledger.ts';
import type { Store } from '../src/store/store.ts';

type Index = { unique: boolean; values: (document: unknown) => readonly (string | null)[] };

function indexesOf(kind: Kind): [string, Index][] {
  return Object.entries(indexes[kind]) as unknown as [string, Index][];
}

export function createMemoryStore(): Store {
  const rows = new Map<string, Stored<Kind>>();
  let version = 0;
  const ofKind = <K extends Kind>(kind: K) =>
    [...rows].filter(([place]) => place.startsWith(`${kind}/`)).map(([, row]) => row as Stored<K>);
  const matching = <K extends Kind>(kind: K, where: Query<K>['where'] = {}) =>
    ofKind(kind).filter((row) =>
      Object.entries(where as { [name: string]: string | readonly string[] | undefined }).every(
        ([name, wanted]) => {
          if (wanted === undefined) return true;
          const index = indexesOf(kind).find(([own]) => own === name);
          return index?.[1]
            .values(row.document)
            .some(
              (value) =>
                value !== null &&
                (typeof wanted === 'string' ? value === wanted : wanted.includes(value)),
            );
        },
      ),
    );
  const entities: Entities = {
    get: async (kind, id) => structuredClone(rows.get(`${kind}/${id}`)) as never,
    getMany: async (kind, ids) =>
      structuredClone(ofKind(kind).filter(({ id }) => ids.includes(id))),
    find: async (kind, query) => {
      const found = matching(kind, query.where).sort((a, b) => {
        const [one, other] = [
          (a.document as { created_at: string }).created_at + a.id,
          (b.document as { created_at: string }).created_at + b.id,
        ];
        return (one < other ? -1 : 1) * (query.order === 'oldest' ? 1 : -1);
      });
      const from = Number(query.after ?? 0) + (query.offset ?? 0);
      const page = structuredClone(found.slice(from, from + query.limit));
      return from + query.limit < found.length
        ? { rows: page, next: String(from + query.limit) }
        : { rows: page };
    },
    count: async (kind, where) => matching(kind, where).length,
    all: async function* (kind) {
      yield* ofKind(kind);
    },
    write: async (changes: readonly Change[]) => {
      for (const { kind, id, expected } of changes) {
        if (expected !== undefined && (rows.get(`${kind}/${id}`)?.version ?? absent) !== expected)
          throw new ConflictError(kind, id);
      }
      const written = new Set(changes.map(({ kind, id }) => `${kind}/${id}`));
      for (const { kind, id, document } of changes) {
        if (document === undefined) continue;
        for (const [name, index] of indexesOf(kind)) {
          if (!index.unique) continue;
          const values = index.values(document).filter((value) => value !== null);
          const others = [
            ...ofKind(kind).filter((row) => !written.has(`${kind}/${row.id}`)),
            ...changes.filter(
              (change) => change.kind === kind && change.id !== id && change.document !== undefined,
            ),
          ];
          if (
            others.some((other) =>
              index.values(other.document).some((value) => values.includes(value ?? '')),
            )
          )
            throw new UniqueError(kind, name);
        }
      }
      return changes.map(({ kind, id, document }) => {
        if (document === undefined) {
          rows.delete(`${kind}/${id}`);
          return undefined;
        }
        version += 1;
        rows.set(
          `${kind}/${id}`,
          structuredClone({ id, version: String(version), document: document as Documents[Kind] }),
        );
        return String(version);
      });
    },
  };
  const records: AuditRecord[] = [];
  const audit: Audit = {
    append: async (entry) => {
      const hash = createHash('sha256')
        .update((records.at(-1)?.hash ?? '') + JSON.stringify(entry))
        .digest('hex');
      const record = { ...entry, sequence: records.length + 1, hash };
      records.push(record);
      return record;
    },
    list: async ({ limit, before }) =>
      records
        .filter(({ sequence }) => before === undefined || sequence < before)
        .slice(-limit)
        .reverse(),
    count: async () => records.length,
    from: async (sequence, limit) =>
      records.filter((record) => record.sequence >= sequence).slice(0, limit),
  };
  const ledger: Ledger = {
    append: async () => 0,
    mark: async () => 0,
    spend: async () => new Map(),
    activity: async () => [],
    logs: async () => ({ rows: [] }),
    dropLogsBefore: async () => 0,
  };
  return { entities, audit, ledger, close: async () => {} };
}
