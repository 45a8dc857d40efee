import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { StoreUnavailableError } from '../../src/store/entities.ts';
import { describeAudit } from './audit-conformance.ts';
import { auditEntry, keyDocument, usageRecord } from './documents.ts';
import { describeEntities } from './entities-conformance.ts';
import { describeLedger } from './ledger-conformance.ts';
import { underTest, type CreateStore, type Trials } from './store-under-test.ts';

/**
 * What every store promises, whatever it keeps its data in. A new kind is trusted once this suite passes against it.
 *
 * @param create - makes an empty store
 */
export function describeStore(
  name: string,
  create: CreateStore,
  trials: Trials = { runs: 25 },
): void {
  describeEntities(name, create, trials);
  describeLedger(name, create, trials);
  describeAudit(name, create);

  describe(`${name}: the whole`, () => {
    const subject = underTest(create);

    it('keeps what was written for those who come later', async () => {
      const { store } = subject();
      const entry = auditEntry({ objectId: 'kept' });
      await store.entities.write(
        [{ kind: 'key', id: 'kept', document: keyDocument('kept') }],
        entry,
      );
      await store.ledger.append('kept', [{ sequence: 1, record: usageRecord() }]);

      const later = await subject().another();
      try {
        expect((await later.entities.get('key', 'kept'))?.document).toEqual(keyDocument('kept'));
        expect(await later.ledger.mark('kept')).toBe(1);
        expect(await later.audit.list({ limit: 1 })).toMatchObject([entry]);
      } finally {
        await later.close();
      }
    });

    it('is unavailable after its end, which may be asked for twice', async () => {
      const other = await subject().another();
      await other.close();
      await other.close();
      await expect(other.entities.get('key', 'kept')).rejects.toThrow(StoreUnavailableError);
      await expect(other.ledger.append('kept', [])).rejects.toThrow(StoreUnavailableError);
    });

    it('holds hashes of secrets, and no secret', async () => {
      const { store } = subject();
      const secret = 'sk-canary-0123456789abcdef';
      const hash = createHash('sha256').update(secret).digest('hex');
      const secrets = [{ hash, name: 'sk-...cdef', not_after: null }];
      await store.entities.write([
        { kind: 'key', id: 'canary', document: keyDocument('canary', { secrets }) },
      ]);
      const found = await store.entities.find('key', { where: { hash }, limit: 1 });
      expect(found.rows.map(({ id }) => id)).toEqual(['canary']);

      const text = await subject().dump();
      expect(text).toContain(hash);
      expect(text).not.toContain(secret);
    });
  });
}
