import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMemoryBus } from '@aigateway/contract/memory-bus';
import type { KeyRecord } from '@aigateway/contract/records';
import type { Catalogue, SnapshotPublisher } from '@aigateway/contract/snapshot';
import { createPublishing, type Publishing } from '../src/publish/publishing.ts';
import type { KeyDocument, TeamDocument } from '../src/store/documents.ts';
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../src/store/store.ts';
import { keyDocument, noon, teamDocument, trackedSince } from './conformance/documents.ts';

function keyOf(id: string, changes: Partial<KeyDocument> = {}): KeyDocument {
  const secrets = [{ hash: `hash-of-${id}`, name: 'sk-...', not_after: null }];
  return keyDocument(id, { secrets, ...changes });
}

const catalogue: Catalogue = {
  models: [],
  deployments: [],
  credentials: [],
  router: {} as Catalogue['router'],
  settings: {} as Catalogue['settings'],
};

let store: Store;
let publishing: Publishing;
/** What a proxy that follows knows, by key id. */
let known: Map<string, KeyRecord>;
let failures: unknown[];

beforeEach(async () => {
  store = await createSqliteStore({ path: ':memory:' });
  known = new Map();
  failures = [];
});
afterEach(async () => {
  publishing.close();
  await store.close();
});

function createWith(publisher: SnapshotPublisher, retryMs?: number[]): Publishing {
  return createPublishing({
    entities: store.entities,
    publisher,
    catalogue: () => Promise.resolve(catalogue),
    fixedKeys: () => [{ keyId: 'fixed', secrets: [] } as unknown as KeyRecord],
    compile: () => ({ modelDefaults: {} }),
    onFailure: (error) => failures.push(error),
    ...(retryMs !== undefined && { retryMs }),
  });
}

async function follow(): Promise<SnapshotPublisher> {
  const bus = createMemoryBus();
  const source = bus.createSource();
  void source.start({
    replace: ({ keys }) => {
      known = new Map(keys.map((key) => [key.keyId, key]));
    },
    change: (change) => {
      if (change.kind !== 'key') return;
      if (change.key === undefined) known.delete(change.keyId);
      else known.set(change.keyId, change.key);
    },
  });
  return bus.publisher;
}

function put(kind: 'key', document: KeyDocument): Promise<unknown>;
function put(kind: 'team', document: TeamDocument): Promise<unknown>;
function put(_kind: string, document: KeyDocument | TeamDocument): Promise<unknown> {
  return 'key_id' in document
    ? store.entities.write([{ kind: 'key', id: document.key_id, document }])
    : store.entities.write([{ kind: 'team', id: document.team_id, document }]);
}

describe('publishing', () => {
  it('begins with everything: the keys of the file and those of the store', async () => {
    publishing = createWith(await follow());
    await put('key', keyOf('a'));
    await put('key', keyOf('b'));
    await publishing.publishAll();
    expect([...known.keys()].sort()).toEqual(['a', 'b', 'fixed']);
  });

  it('tells of a new, a changed and a removed key before it resolves', async () => {
    publishing = createWith(await follow());
    await publishing.publishAll();
    await put('key', keyOf('a'));
    await publishing.publish([{ kind: 'key', id: 'a' }]);
    expect(known.get('a')?.blocked).toBe(false);
    await put('key', keyOf('a', { blocked: true }));
    await publishing.publish([{ kind: 'key', id: 'a' }]);
    expect(known.get('a')?.blocked).toBe(true);
    await store.entities.write([{ kind: 'key', id: 'a', document: undefined }]);
    await publishing.publish([{ kind: 'key', id: 'a' }]);
    expect(known.has('a')).toBe(false);
  });

  it('compiles every key under a team anew when the team changes, and no other', async () => {
    publishing = createWith(await follow());
    await put('team', teamDocument('t'));
    for (const id of ['a', 'b']) await put('key', keyOf(id, { team_id: 't' }));
    await put('key', keyOf('other'));
    await publishing.publishAll();
    const other = known.get('other');
    await put('team', teamDocument('t', { rpm_limit: 7 }));
    await publishing.publish([{ kind: 'team', id: 't' }]);
    for (const id of ['a', 'b']) {
      expect(known.get(id)?.scopes.find(({ kind }) => kind === 'team')?.limits).toEqual({
        requestsPerMinute: 7,
      });
    }
    expect(known.get('other')).toBe(other);
  });

  it('compiles anew the keys that have an access group, or whose team has it', async () => {
    publishing = createWith(await follow());
    const group = (...models: string[]) =>
      store.entities.write([
        {
          kind: 'access_group',
          id: 'g',
          document: {
            ...trackedSince(noon),
            access_group_id: 'g',
            access_group_name: 'g',
            description: null,
            access_model_names: models,
            inert: {},
          },
        },
      ]);
    await group('m1');
    await put('team', teamDocument('t', { access_group_ids: ['g'] }));
    await put('key', keyOf('own', { access_group_ids: ['g'] }));
    await put('key', keyOf('of-team', { team_id: 't' }));
    await put('key', keyOf('other'));
    await publishing.publishAll();
    const other = known.get('other');
    await group('m1', 'm2');
    await publishing.publish([{ kind: 'access_group', id: 'g' }]);
    expect(known.get('own')?.models).toEqual(['m1', 'm2']);
    expect(known.get('of-team')?.models).toEqual(['m1', 'm2']);
    expect(known.get('other')).toBe(other);
  });

  it('makes up for what could not be published, with what is true by then', async () => {
    const told = Promise.withResolvers<unknown>();
    let tries = 0;
    publishing = createWith(
      {
        revision: () => Promise.resolve(1),
        publish: (changes) => {
          tries += 1;
          if (tries === 1) return Promise.reject(new Error('away'));
          told.resolve(changes);
          return Promise.resolve(2);
        },
        republish: () => Promise.resolve(1),
        close: () => Promise.resolve(),
      },
      [1],
    );
    await put('key', keyOf('a'));
    await publishing.publish([{ kind: 'key', id: 'a' }]);
    expect(failures).toHaveLength(1);
    expect(publishing.behind).toBe(1);
    await put('key', keyOf('a', { blocked: true }));
    expect(await told.promise).toMatchObject([{ kind: 'key', keyId: 'a', key: { blocked: true } }]);
  });

  it('makes up for a start at which nothing could be published', async () => {
    const told = Promise.withResolvers<string[]>();
    let tries = 0;
    publishing = createWith(
      {
        revision: () => Promise.resolve(1),
        publish: () => Promise.resolve(2),
        republish: async (keys) => {
          tries += 1;
          if (tries === 1) throw new Error('away');
          const ids: string[] = [];
          for await (const { keyId } of keys) ids.push(keyId);
          told.resolve(ids);
          return 2;
        },
        close: () => Promise.resolve(),
      },
      [1],
    );
    await put('key', keyOf('a'));
    await publishing.publishAll();
    expect(failures).toHaveLength(1);
    expect(publishing.behind).toBe(1);
    expect((await told.promise).sort()).toEqual(['a', 'fixed']);
  });

  it('gives proxies everything where they hold nothing that could be changed', async () => {
    publishing = createWith(await follow());
    await put('key', keyOf('a'));
    await publishing.publish([{ kind: 'key', id: 'a' }]);
    expect([...known.keys()].sort()).toEqual(['a', 'fixed']);
    expect(failures).toEqual([]);
  });
});
