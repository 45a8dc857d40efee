import { schemaVersion, type HolderRecord, type KeyRecord } from './records.ts';
import {
  holderName,
  isHolder,
  RepublishNeededError,
  type Catalogue,
  type PublishedChange,
  type SnapshotChange,
  type SnapshotListener,
  type SnapshotPublisher,
  type SnapshotSource,
} from './snapshot.ts';

export type MemoryBusOptions = {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
};

/** Both ends of a snapshot within one process. */
export interface MemoryBus {
  readonly publisher: SnapshotPublisher;
  /** One for each proxy. */
  createSource(): SnapshotSource;
}

type State = {
  readonly keys: Map<string, KeyRecord>;
  readonly byHash: Map<string, KeyRecord>;
  readonly holders: Map<string, HolderRecord>;
  catalogue: Catalogue;
};

/** The in-process twin of what passes between the planes through Redis: the same records, unsigned, for nobody else can reach them. */
export function createMemoryBus({ now = Date.now }: MemoryBusOptions = {}): MemoryBus {
  const told = new Set<SnapshotListener>();
  let waiting: (() => void)[] = [];
  let revision = 0;
  let state: State | undefined;

  const tellAll = (listener: SnapshotListener, { keys, holders, catalogue }: State): void =>
    listener.replace({
      schemaVersion,
      revision,
      keys: [...keys.values()],
      holders: [...holders.values()],
      ...catalogue,
    });

  const put = ({ keys, byHash }: State, keyId: string, key: KeyRecord | undefined): void => {
    for (const { hash } of keys.get(keyId)?.secrets ?? []) byHash.delete(hash);
    if (key === undefined) {
      keys.delete(keyId);
      return;
    }
    keys.set(keyId, key);
    for (const { hash } of key.secrets) byHash.set(hash, key);
  };

  const publisher: SnapshotPublisher = {
    revision: () => Promise.resolve(revision),
    publish: async (changes: readonly PublishedChange[]) => {
      if (state === undefined) throw new RepublishNeededError();
      revision += 1;
      for (const change of changes) {
        if (change.kind === 'catalogue') state.catalogue = change.catalogue;
        else if (change.kind === 'key') put(state, change.keyId, change.key);
        else if (change.holder === undefined) state.holders.delete(change.name);
        else state.holders.set(change.name, change.holder);
        const step: SnapshotChange = { ...change, revision };
        for (const listener of told) listener.change(step);
      }
      return revision;
    },
    republish: async (records, catalogue) => {
      const next: State = { keys: new Map(), byHash: new Map(), holders: new Map(), catalogue };
      for await (const record of records) {
        if (isHolder(record)) next.holders.set(holderName(record), record);
        else put(next, record.keyId, record);
      }
      state = next;
      revision += 1;
      for (const listener of told) tellAll(listener, next);
      for (const start of waiting) start();
      waiting = [];
      return revision;
    },
    close: () => Promise.resolve(),
  };

  const createSource = (): SnapshotSource => {
    let own: SnapshotListener | undefined;
    const end = Promise.withResolvers<void>();
    return {
      start: async (listener) => {
        if (state === undefined) {
          await Promise.race([new Promise<void>((resolve) => waiting.push(resolve)), end.promise]);
        }
        if (state === undefined) return;
        own = listener;
        tellAll(listener, state);
        told.add(listener);
      },
      findKey: (hash) => {
        const key = state?.byHash.get(hash);
        return Promise.resolve(key === undefined ? undefined : { key, revision });
      },
      standing: () => ({
        revision: own === undefined ? 0 : revision,
        asOfMs: own === undefined ? 0 : now(),
        connected: true,
        refused: 0,
      }),
      close: async () => {
        end.resolve();
        if (own !== undefined) told.delete(own);
      },
    };
  };

  return { publisher, createSource };
}
