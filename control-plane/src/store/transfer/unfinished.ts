import type { Store } from '../store.ts';

/** Where it is kept that a store is being filled. */
export const transferKind = 'store_transfer';
export const transferId = 'unfinished';

/** From where a store is being filled, and since when; undefined when it is not. A store that is must not be worked with. */
export async function unfinishedTransfer({
  entities,
}: Pick<Store, 'entities'>): Promise<{ source: string; since: string } | undefined> {
  const document = (await entities.get(transferKind, transferId))?.document;
  return document && { source: document.source, since: document.created_at };
}
