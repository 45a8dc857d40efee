import { describe, expect, it } from 'vitest';
import { hashOf, rootHash, verify, type Audit, type AuditRecord } from '../../src/store/audit.ts';
import { auditEntry, noon } from './documents.ts';
import { underTest, type CreateStore } from './store-under-test.ts';

/** What the audit of every store promises. */
export function describeAudit(name: string, create: CreateStore): void {
  describe(`${name}: audit`, () => {
    const subject = underTest(create);
    const audit = (): Audit => subject().store.audit;

    it('makes one chain of what many append at once, over several stores', async () => {
      expect(await verify(audit())).toEqual({
        intact: true,
        newest: { sequence: 0, hash: rootHash },
      });
      const other = await subject().another();
      try {
        const appended = await Promise.all(
          Array.from({ length: 40 }, (_, at) =>
            (at % 2 === 0 ? audit() : other.audit).append(auditEntry({ objectId: `many-${at}` })),
          ),
        );
        const inOrder = appended.toSorted((a, b) => a.sequence - b.sequence);
        expect(inOrder.map(({ sequence }) => sequence)).toEqual(
          Array.from({ length: 40 }, (_, at) => at + 1),
        );
        expect(await audit().from(1, 100)).toEqual(inOrder);
        expect(await verify(audit())).toEqual({
          intact: true,
          newest: { sequence: 40, hash: inOrder.at(-1)?.hash },
        });
      } finally {
        await other.close();
      }
    });

    it('keeps an entry as it is, and a hash that covers it and the one before', async () => {
      const entry = auditEntry({
        onBehalfOf: 'somebody',
        before: { b: '\0\ud800', a: [1, { d: null, c: 0.1 }] },
        after: { é: 'x'.repeat(100_000) },
      });
      const previous = await audit().append(auditEntry());
      const record = await audit().append(entry);
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
      for (const entry of entries) records.push(await audit().append(entry));
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
