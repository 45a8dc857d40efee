import { describe, expect, it } from 'vitest';
import {
  hashOf,
  rootHash,
  verify,
  type Audit,
  type AuditEntry,
  type AuditRecord,
} from '../../src/store/audit.ts';
import { absent, ConflictError, UniqueError, type Change } from '../../src/store/entities.ts';
import { auditEntry, keyDocument, noon } from './documents.ts';
import { underTest, type CreateStore } from './store-under-test.ts';

/** What the audit of every store promises. */
export function describeAudit(name: string, create: CreateStore): void {
  describe(`${name}: audit`, () => {
    const subject = underTest(create);
    const audit = (): Audit => subject().store.audit;
    const append = async (entry: AuditEntry): Promise<AuditRecord> => {
      await subject().store.entities.write([], entry);
      const [newest] = await audit().list({ limit: 1 });
      return newest!;
    };

    it('makes one chain of what many append at once, over several stores', async () => {
      expect(await verify(audit())).toEqual({
        intact: true,
        newest: { sequence: 0, hash: rootHash },
      });
      const other = await subject().another();
      try {
        const ids = Array.from({ length: 40 }, (_, at) => `many-${at}`);
        await Promise.all(
          ids.map((objectId, at) =>
            (at % 2 === 0 ? subject().store : other).entities.write([], auditEntry({ objectId })),
          ),
        );
        const records = await audit().from(1, 100);
        expect(records.map(({ sequence }) => sequence)).toEqual(ids.map((_, at) => at + 1));
        expect(records.map(({ objectId }) => objectId).toSorted()).toEqual(ids.toSorted());
        expect(await other.audit.from(1, 100)).toEqual(records);
        expect(await verify(audit())).toEqual({
          intact: true,
          newest: { sequence: 40, hash: records.at(-1)?.hash },
        });
      } finally {
        await other.close();
      }
    });

    it('has a record of each write that was made, and of no other', async () => {
      const { entities } = subject().store;
      const put = (id: string, key_alias: string | null = null): Change => ({
        kind: 'key',
        id,
        document: keyDocument(id, { key_alias }),
      });
      await entities.write(
        [put('both-1', 'both'), put('both-2')],
        auditEntry({ objectId: 'made' }),
      );
      const failing: readonly [Change, unknown][] = [
        [{ ...put('both-1'), expected: absent }, new ConflictError('key', 'both-1')],
        [put('both-3', 'both'), new UniqueError('key', 'key_alias')],
      ];
      for (const [change, error] of failing) {
        const entry = auditEntry({ objectId: 'not made' });
        await expect(entities.write([change], entry)).rejects.toEqual(error);
      }
      // What no text can be made of.
      const unwritable = auditEntry({ objectId: 'not made', after: { a: 1n as never } });
      await expect(entities.write([put('both-4')], unwritable)).rejects.toThrow(/BigInt/);
      const there = await entities.getMany('key', ['both-1', 'both-2', 'both-3', 'both-4']);
      expect(there.map(({ id }) => id).toSorted()).toEqual(['both-1', 'both-2']);
      expect(await audit().count({ objectId: 'made' })).toBe(1);
      expect(await audit().count({ objectId: 'not made' })).toBe(0);
      expect(await verify(audit())).toMatchObject({ intact: true });
    });

    it('keeps an entry as it is, and a hash that covers it and the one before', async () => {
      const entry = auditEntry({
        onBehalfOf: 'somebody',
        before: { b: '\0\ud800', a: [1, { d: null, c: 0.1 }] },
        after: { é: 'x'.repeat(100_000) },
      });
      const previous = await append(auditEntry());
      const record = await append(entry);
      expect(record).toEqual({
        ...entry,
        sequence: previous.sequence + 1,
        hash: hashOf(previous.hash, entry),
      });
      expect(await audit().from(record.sequence, 1)).toEqual([record]);
    });

    it('lists the newest first, by what is looked for', async () => {
      const entries = [
        auditEntry({ actor: 'list-a', objectId: 'x', at: noon }),
        auditEntry({ actor: 'list-a', objectId: 'y', at: noon + 1, action: 'deleted' }),
        auditEntry({ actor: 'list-b', objectId: 'x', at: noon + 2, objectKind: 'list-team' }),
        auditEntry({ actor: 'list-\0', objectId: 'x', at: noon + 3, action: 'list' }),
      ];
      const records: AuditRecord[] = [];
      for (const entry of entries) records.push(await append(entry));
      const [first, second, third, fourth] = records;
      const list = async (query: Omit<Parameters<Audit['list']>[0], 'limit'>): Promise<unknown> => {
        const listed = await audit().list({ ...query, limit: 10 });
        if (query.before === undefined) expect(await audit().count(query)).toBe(listed.length);
        return listed;
      };
      expect(await list({ actor: 'list-a' })).toEqual([second, first]);
      expect(await list({ actor: 'list-a', before: second!.sequence })).toEqual([first]);
      expect(await list({ actor: 'list-a', fromMs: noon + 1, toMs: noon + 2 })).toEqual([second]);
      expect(await list({ actor: 'list-\0' })).toEqual([fourth]);
      expect(await list({ objectKind: 'list-team', objectId: 'x' })).toEqual([third]);
      expect(await list({ action: 'list' })).toEqual([fourth]);
    });
  });
}
