import { expect, it, describe } from 'vitest';
import { StoreUnavailableError } from '../../src/store/entities.ts';
import { verify } from '../../src/store/audit.ts';
import { auditEntry, keyDocument, usageRecord } from './documents.ts';
import { underTest, type StoreUnderTest } from './store-under-test.ts';

/** A store that is reached over connections. */
type ConnectedStore = StoreUnderTest & {
  /** Breaks every connection to the data, whatever is under way. */
  interrupt(): Promise<void>;
};

/** What a store that is reached over connections promises when they break while it writes. */
export function describeInterruption(name: string, create: () => Promise<ConnectedStore>): void {
  describe(`${name}: interrupted`, () => {
    const subject = underTest(create);

    it('has written each change as a whole or not at all, and goes on', async () => {
      const { store } = subject();
      const { entities, ledger, audit } = store;
      const record = usageRecord({ keyId: 'broken', model: 'broken', costNanoUsd: 1 });
      const marks = new Map<string, number>();
      let breaks = 0;

      /** Writes 30 times, again what failed: only because the store was away. The first breaks the connections of all. */
      const write = async (writer: number): Promise<void> => {
        const producer = `broken-${writer}`;
        for (let turn = 1; turn <= 30;) {
          const id = `broken-${writer}-${turn}`;
          if (writer === 0 && (breaks === 0 || turn % 10 === 0)) await subject().interrupt();
          try {
            marks.set(producer, await ledger.append(producer, [{ sequence: turn, record }]));
            await entities.write(
              [
                { kind: 'key', id: `${id}-a`, document: keyDocument(id, { team_id: 'broken' }) },
                { kind: 'key', id: `${id}-b`, document: keyDocument(id, { team_id: 'broken' }) },
              ],
              auditEntry({ objectId: id }),
            );
            turn += 1;
          } catch (error) {
            expect(error).toBeInstanceOf(StoreUnavailableError);
            breaks += 1;
          }
        }
      };
      await Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)));

      expect(breaks).toBeGreaterThan(0);
      expect([...marks.values()]).toEqual(Array.from({ length: 8 }, () => 30));
      expect(await ledger.spend({ dimension: 'key', ids: ['broken'] })).toEqual(
        new Map([['broken', 240]]),
      );
      expect(await entities.count('key', { team_id: 'broken' })).toBe(480);
      expect(await verify(audit)).toMatchObject({ intact: true });
    });
  });
}
