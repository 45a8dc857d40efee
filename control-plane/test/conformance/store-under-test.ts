import { afterAll, beforeAll } from 'vitest';
import type { Store } from '../../src/store/store.ts';

/** A store over data of its own. */
export type StoreUnderTest = {
  store: Store;
  /** One more store over the same data, as another process would have it. */
  another(): Promise<Store>;
  /** All that is kept, as it is kept. */
  dump(): Promise<string>;
  close(): Promise<void>;
};

export type CreateStore = () => Promise<StoreUnderTest>;

/** How often properties are tried on values made up: less where each request takes its time. */
export type Trials = { runs: number };

/** One store for all tests of a block: making one takes longer than most of them. Each test uses ids of its own. */
export function underTest<Subject extends StoreUnderTest>(
  create: () => Promise<Subject>,
): () => Subject {
  let subject: Subject | undefined;
  beforeAll(async () => {
    subject = await create();
  });
  afterAll(() => subject?.close());
  return () => {
    if (!subject) throw new Error('the store is made before the first test');
    return subject;
  };
}
