import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { auditEntry } from '../../../test/conformance/documents.ts';
import { StoreUnavailableError } from '../entities.ts';
import { auditId, auditPartition, Commits, entityPartition, type Cell } from './commits.ts';
import type { Item, Items } from './items.ts';

/** Where an item stands in what the fake container holds. */
function placeOf({ pk, id }: Item): string {
  return `${pk}/${id}`;
}

/** A container in memory: `before` and `after` every request, others get a turn or the request fails. */
class FakeContainer {
  readonly held = new Map<string, { item: Item; tag: string }>();
  #tags = 0;

  items(around: (at: 'before' | 'after') => Promise<void>): Items {
    const request = async <T>(work: () => T): Promise<T> => {
      await around('before');
      const result = work();
      await around('after');
      return result;
    };
    const put = (item: Item): string => {
      this.#tags += 1;
      const tag = String(this.#tags);
      this.held.set(placeOf(item), { item: structuredClone(item), tag });
      return tag;
    };
    return {
      read: (pk, id) => request(() => this.held.get(placeOf({ pk, id })) as never),
      create: (item) => request(() => (this.held.has(placeOf(item)) ? undefined : put(item))),
      replace: (item, tag) =>
        request(() => (this.held.get(placeOf(item))?.tag === tag ? put(item) : undefined)),
      remove: (pk, id) => request(() => this.held.delete(placeOf({ pk, id }))),
      query: () => {
        throw new Error('commits ask for single items only');
      },
    };
  }

  item(pk: string, id: string): { [member: string]: unknown } | undefined {
    return this.held.get(`${pk}/${id}`)?.item as { [member: string]: unknown } | undefined;
  }

  records(): number {
    let sequence = 0;
    while (this.item(auditPartition(sequence + 1), auditId(sequence + 1))) sequence += 1;
    return sequence;
  }
}

const undisturbed = (): Promise<void> => Promise.resolve();
const two: readonly Cell[] = ['a', 'b'].map((id) => ({
  pk: entityPartition,
  id,
  item: { value: 1 },
}));

describe('a commit in Cosmos DB', () => {
  it('has happened as a whole or not at all, wherever its writer ended', async () => {
    for (const when of ['before', 'after'] as const) {
      for (let ends = 1, isOver = false; !isOver; ends += 1) {
        const container = new FakeContainer();
        await new Commits(container.items(undisturbed)).recover();
        let requests = 0;
        const writer = new Commits(
          container.items((at) => {
            if (at === when) requests += 1;
            const hasEnded = at === 'before' ? requests >= ends && when === at : requests >= ends;
            return hasEnded ? Promise.reject(new StoreUnavailableError('killed')) : undisturbed();
          }),
        );
        isOver = await writer
          .commit(() => Promise.resolve(two), auditEntry())
          .then(
            () => true,
            () => false,
          );
        const { sequence } = await new Commits(container.items(undisturbed)).recover();
        const values = two.map(({ pk, id }) => container.item(pk, id)?.['value']);
        expect(values).toEqual(sequence === 1 ? [1, 1] : [undefined, undefined]);
        expect(container.records()).toBe(sequence);
        if (isOver) expect(sequence).toBe(1);
      }
    }
  });

  it('is in one order with all others, however their requests mix, and nobody who is late undoes it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 2, max: 4 }),
        async (scheduler, writers) => {
          const container = new FakeContainer();
          await new Commits(container.items(undisturbed)).recover();
          const work = async (): Promise<void> => {
            const commits = new Commits(
              container.items((at) =>
                at === 'before' ? scheduler.schedule(Promise.resolve()) : undisturbed(),
              ),
            );
            // Each adds one, and takes away or brings back what the one before left.
            for (let turn = 0; turn < 2; turn += 1) {
              await commits.commit(() => {
                const value = container.item(entityPartition, 'count')?.['value'];
                const next = (typeof value === 'number' ? value : 0) + 1;
                const isThere = container.item(entityPartition, 'coming')?.['value'] !== undefined;
                return Promise.resolve([
                  { pk: entityPartition, id: 'count', item: { value: next } },
                  { pk: entityPartition, id: 'coming', item: isThere ? null : { value: next } },
                ]);
              }, auditEntry());
            }
          };
          const done = Promise.all(Array.from({ length: writers }, work));
          await scheduler.waitFor(done);
          expect(container.item(entityPartition, 'count')?.['value']).toBe(writers * 2);
          // An even number of turns: the last took it away.
          expect(container.item(entityPartition, 'coming')?.['value']).toBeUndefined();
          expect(container.records()).toBe(writers * 2);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('knows its own when the answer to it was lost', async () => {
    const container = new FakeContainer();
    const items = container.items(undisturbed);
    let decided = 0;
    const commits = new Commits({
      ...items,
      // The service had done it, and the library asked once more.
      replace: async (item, tag) => {
        await items.replace(item, tag);
        return items.replace(item, tag);
      },
    });
    await commits.commit(() => {
      decided += 1;
      return Promise.resolve(two);
    }, auditEntry());
    expect(decided).toBe(1);
    expect(container.records()).toBe(1);
    expect(container.item(entityPartition, 'a')?.['value']).toBe(1);
  });

  it('refuses what the head cannot hold, and writes nothing of it', async () => {
    const container = new FakeContainer();
    const commits = new Commits(container.items(undisturbed));
    const noise = Array.from({ length: 400_000 }, () => Math.random().toString(36)).join('');
    const cells = [{ pk: entityPartition, id: 'large', item: { noise } }];
    await expect(commits.commit(() => Promise.resolve(cells), undefined)).rejects.toThrow(
      RangeError,
    );
    expect(container.item(entityPartition, 'large')).toBeUndefined();
  });
});
