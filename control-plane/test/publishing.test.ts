import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMemoryBus } from '@aigateway/contract/memory-bus';
import type { HolderRecord, KeyRecord } from '@aigateway/contract/records';
import { isHolder, type Catalogue, type SnapshotPublisher } from '@aigateway/contract/snapshot';
import { createPublishing, type Publishing } from '../src/publish/publishing.ts';
import type {
  BudgetDocument,
  CustomerDocument,
  KeyDocument,
  TeamDocument,
  TeamMembershipDocument,
} from '../src/store/documents.ts';
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import type { Store } from '../src/store/store.ts';
import {
  budgetDocument,
  customerDocument,
  keyDocument,
  noLimits,
  noon,
  tagDocument,
  teamDocument,
  trackedSince,
} from './conformance/documents.ts';

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
/** Holders of limits that it knows, by kind and id. */
let holders: Map<string, HolderRecord>;
let failures: unknown[];

beforeEach(async () => {
  store = await createSqliteStore({ path: ':memory:' });
  known = new Map();
  holders = new Map();
  failures = [];
});
afterEach(async () => {
  publishing.close();
  await store.close();
});

function createWith(
  publisher: SnapshotPublisher,
  retryMs?: number[],
  fixedHolders: readonly HolderRecord[] = [],
): Publishing {
  return createPublishing({
    entities: store.entities,
    publisher,
    catalogue: () => Promise.resolve(catalogue),
    fixedKeys: () => [{ keyId: 'fixed', secrets: [] } as unknown as KeyRecord],
    fixedHolders: () => fixedHolders,
    compile: () => ({}),
    onFailure: (error) => failures.push(error),
    ...(retryMs !== undefined && { retryMs }),
  });
}

async function follow(): Promise<SnapshotPublisher> {
  const bus = createMemoryBus();
  const source = bus.createSource();
  void source.start({
    replace: ({ keys, holders: held = [] }) => {
      known = new Map(keys.map((key) => [key.keyId, key]));
      holders = new Map(held.map((holder) => [`${holder.kind} ${holder.id}`, holder]));
    },
    change: (change) => {
      if (change.kind === 'holder') {
        const name = change.name.slice(1).replace(':', ' ');
        if (change.holder === undefined) holders.delete(name);
        else holders.set(name, change.holder);
      }
      if (change.kind !== 'key') return;
      if (change.key === undefined) known.delete(change.keyId);
      else known.set(change.keyId, change.key);
    },
  });
  return bus.publisher;
}

function putCustomer(id: string, changes: Partial<CustomerDocument>): Promise<unknown> {
  const document = customerDocument(id, changes);
  return store.entities.write([{ kind: 'customer', id, document }]);
}

function putBudget(id: string, changes: Partial<BudgetDocument>): Promise<unknown> {
  const document = budgetDocument(id, changes);
  return store.entities.write([{ kind: 'budget', id, document }]);
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

  it('gives members the budget of their team, unless they have one of their own', async () => {
    publishing = createWith(await follow());
    await putBudget('shared', { max_budget: 0, rpm_limit: 7 });
    await put('team', teamDocument('t', { metadata: { team_member_budget_id: 'shared' } }));
    await put('key', keyOf('a', { team_id: 't', user_id: 'ann' }));
    await put('key', keyOf('of-team', { team_id: 't' }));
    await publishing.publishAll();
    const limits = (id: string) =>
      known.get(id)?.scopes.find(({ kind }) => kind === 'team_member')?.limits;
    // No bound, as in LiteLLM.
    expect(limits('a')).toEqual({ requestsPerMinute: 7 });
    expect(limits('of-team')).toBeUndefined();
    await putBudget('shared', { max_budget: 2, rpm_limit: 7 });
    await publishing.publish([{ kind: 'budget', id: 'shared' }]);
    const budgets = [{ maxNanoUsd: 2_000_000_000 }];
    expect(limits('a')).toEqual({ requestsPerMinute: 7, budgets });
    const document: TeamMembershipDocument = {
      ...trackedSince(noon),
      ...noLimits,
      team_id: 't',
      user_id: 'ann',
      budget_id: null,
      allowed_models: [],
      rpm_limit: 9,
    };
    await store.entities.write([{ kind: 'team_membership', id: 't:ann', document }]);
    await publishing.publish([{ kind: 'team_membership', id: 't:ann' }]);
    expect(limits('a')).toEqual({ requestsPerMinute: 9, budgets });
  });

  it('tells of the customers for whom there are rules, and of no other', async () => {
    publishing = createWith(await follow());
    await putCustomer('nobody', {});
    await putCustomer('blocked', { blocked: true });
    await putBudget('b', { max_budget: 2, budget_duration: '1d', rpm_limit: 7 });
    await putCustomer('budgeted', { budget_id: 'b', allowed_model_region: 'EU' });
    await publishing.publishAll();
    expect([...holders.values()]).toEqual([
      { kind: 'end_user', id: 'blocked', blocked: true, models: [], regions: [] },
      {
        kind: 'end_user',
        id: 'budgeted',
        blocked: false,
        limits: { requestsPerMinute: 7, budgets: [{ maxNanoUsd: 2_000_000_000, window: '1d' }] },
        models: [],
        regions: ['eu'],
      },
    ]);
  });

  it('tells of each change of a customer, of a budget for all who have it', async () => {
    publishing = createWith(await follow());
    await publishing.publishAll();
    await putBudget('b', { rpm_limit: 7 });
    for (const id of ['one', 'other']) await putCustomer(id, { budget_id: 'b' });
    await publishing.publish([{ kind: 'customer', id: 'one' }]);
    expect([...holders.keys()]).toEqual(['end_user one']);
    await putBudget('b', { rpm_limit: 8 });
    await publishing.publish([{ kind: 'budget', id: 'b' }]);
    for (const id of ['one', 'other']) {
      expect(holders.get(`end_user ${id}`)?.limits).toEqual({ requestsPerMinute: 8 });
    }
    await putCustomer('one', {});
    await publishing.publish([{ kind: 'customer', id: 'one' }]);
    await store.entities.write([{ kind: 'customer', id: 'other', document: undefined }]);
    await publishing.publish([{ kind: 'customer', id: 'other' }]);
    expect(holders.size).toBe(0);
  });

  it('tells of tags with a budget, and of those of the file above them', async () => {
    const fixed: HolderRecord = {
      kind: 'tag',
      id: 'of-file',
      blocked: false,
      limits: { requestsPerMinute: 1 },
      models: [],
      regions: [],
    };
    publishing = createWith(await follow(), undefined, [fixed]);
    await putBudget('b', { rpm_limit: 7 });
    for (const name of ['of-file', 'other']) {
      const document = tagDocument(name, { budget_id: 'b' });
      await store.entities.write([{ kind: 'tag', id: name, document }]);
    }
    await store.entities.write([{ kind: 'tag', id: 'plain', document: tagDocument('plain') }]);
    await publishing.publishAll();
    const limits = () => Object.fromEntries([...holders].map(([name, one]) => [name, one.limits]));
    const before = { 'tag of-file': fixed.limits, 'tag other': { requestsPerMinute: 7 } };
    expect(limits()).toEqual(before);
    await putBudget('b', { rpm_limit: 8 });
    await publishing.publish([{ kind: 'budget', id: 'b' }]);
    expect(limits()).toEqual({ ...before, 'tag other': { requestsPerMinute: 8 } });
    for (const id of ['of-file', 'other']) {
      await store.entities.write([{ kind: 'tag', id, document: undefined }]);
      await publishing.publish([{ kind: 'tag', id }]);
    }
    expect(limits()).toEqual({ 'tag of-file': fixed.limits });
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
          for await (const one of keys) if (!isHolder(one)) ids.push(one.keyId);
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
