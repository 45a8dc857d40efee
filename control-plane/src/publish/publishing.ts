import {
  OvertakenError,
  holderName,
  RepublishNeededError,
  type Catalogue,
  type PublishedChange,
  type SingleRecord,
  type SnapshotPublisher,
} from '@aigateway/contract/snapshot';
import type { HolderRecord, KeyRecord } from '@aigateway/contract/records';
import { chunksOf } from '../store/chunks.ts';
import type { BudgetDocument, Documents, Kind } from '../store/documents.ts';
import type { Entities, IndexName, Stored, Written } from '../store/entities.ts';
import { compileCustomer, compileTag } from './compile-holder.ts';
import {
  compileKey,
  memberBudgetId,
  organizationIdOf,
  type CompileKeyOptions,
} from './compile-key.ts';

export type PublishingOptions = {
  readonly entities: Entities;
  readonly publisher: SnapshotPublisher;
  /** All but keys and holders of limits, as it stands: asked for at every publication that concerns it. */
  readonly catalogue: () => Promise<Catalogue>;
  /** Keys that are not the store's, e.g. those of a configuration file. */
  readonly fixedKeys: () => readonly KeyRecord[];
  /** Holders of limits that are not the store's; of two with one name this one counts. */
  readonly fixedHolders?: () => readonly HolderRecord[];
  /** The budget that the catalogue is made from as well: that of customers without one of their own. */
  readonly customerBudgetId?: () => string | undefined;
  readonly compile: () => CompileKeyOptions;
  /**
   * Told what was published, once proxies can know it; of everything only what is not the store's. Where it fails, the same is published
   * and told again later.
   */
  readonly onPublished?: (
    records: readonly SingleRecord[],
    catalogue: Catalogue | undefined,
  ) => Promise<void>;
  /** Told of every failure to publish; it is tried again. */
  readonly onFailure: (error: unknown) => void;
  /** Waits between tries, in milliseconds, the last one repeated. */
  readonly retryMs?: readonly number[];
};

/** Brings what the store holds to the proxies. */
export interface Publishing {
  /** Publishes everything, as at the start. Where that cannot be done now it is made up for later, like all else. */
  publishAll(): Promise<void>;
  /**
   * Publishes what became of written entities. Resolves when proxies can know it, or when that has failed for now: it is then
   * made up for later, and the write stands.
   */
  publish(written: readonly Written[]): Promise<void>;
  /** Every key and holder of limits as it stands, whether it was published or not. */
  records(): AsyncIterable<SingleRecord>;
  /** Changes that proxies have not been told of yet. */
  readonly behind: number;
  /** Nothing is tried again after this. */
  close(): void;
}

const pageSize = 500;

/** Creates the publishing of one store. Publications happen one after another, in the order of the writes. */
export function createPublishing(options: PublishingOptions): Publishing {
  const {
    entities,
    publisher,
    fixedHolders = () => [],
    retryMs = [200, 1000, 5000, 15_000],
  } = options;
  const waiting = new Map<string, Written>();
  let running: Promise<void> | undefined;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  /** Everything is to be published, changes that wait among it. */
  let isAllDue = false;

  const drain = async (): Promise<void> => {
    while (isAllDue || waiting.size > 0) {
      const wasAllDue = isAllDue;
      const batch = [...waiting.values()];
      isAllDue = false;
      waiting.clear();
      try {
        await (wasAllDue ? republish() : publishChanges(batch));
        failures = 0;
      } catch (error) {
        // What was written meanwhile is newer; both are read from the store again.
        isAllDue ||= wasAllDue;
        for (const one of batch) waiting.set(nameOf(one), one);
        options.onFailure(error);
        if (!closed) {
          timer ??= setTimeout(
            () => {
              timer = undefined;
              void start();
            },
            retryMs[Math.min(failures, retryMs.length - 1)],
          ).unref();
        }
        failures += 1;
        return;
      }
    }
  };
  const start = (): Promise<void> => {
    running ??= drain().finally(() => {
      running = undefined;
    });
    return running;
  };

  /** Where proxies hold nothing to change, as after Redis lost its data, they are given everything. */
  const publishChanges = async (batch: readonly Written[]): Promise<void> => {
    let changes: readonly PublishedChange[];
    for (;;) {
      const since = await publisher.revision();
      if (since === 0) return await republish();
      changes = await changesOf(batch);
      if (changes.length === 0) return;
      try {
        await publisher.publish(changes, since);
        break;
      } catch (error) {
        // Another control plane has read the same later, or earlier: the store is asked again.
        if (error instanceof OvertakenError) continue;
        if (!(error instanceof RepublishNeededError)) throw error;
        return await republish();
      }
    }
    await tellPublished(changes);
  };
  const tellPublished = async (changes: readonly PublishedChange[]): Promise<void> => {
    const records: SingleRecord[] = [];
    let catalogue: Catalogue | undefined;
    for (const change of changes) {
      if (change.kind === 'catalogue') {
        ({ catalogue } = change);
        continue;
      }
      const record = change.kind === 'key' ? change.key : change.holder;
      if (record !== undefined) records.push(record);
    }
    await options.onPublished?.(records, catalogue);
  };
  const republish = async (): Promise<void> => {
    const catalogue = await options.catalogue();
    await publisher.republish(everyRecord(), catalogue);
    await options.onPublished?.([...options.fixedKeys(), ...fixedHolders()], catalogue);
  };

  const changesOf = async (batch: readonly Written[]): Promise<PublishedChange[]> => {
    const keyIds = new Set<string>();
    const holderIds = { customer: new Set<string>(), tag: new Set<string>() };
    let isCatalogue = false;
    for (const written of batch) {
      if (isOfCatalogue(written)) isCatalogue = true;
      for (const id of await keysUnder(written)) keyIds.add(id);
      for (const kind of holderKinds) {
        for (const id of await holdersUnder(kind, written)) holderIds[kind].add(id);
      }
    }
    const changes: PublishedChange[] = isCatalogue
      ? [{ kind: 'catalogue', catalogue: await options.catalogue() }]
      : [];
    for await (const ids of chunksOf(keyIds, pageSize)) {
      const found = await entities.getMany('key', ids);
      const records = new Map((await compiled(found)).map((key) => [key.keyId, key]));
      for (const keyId of ids) changes.push({ kind: 'key', keyId, key: records.get(keyId) });
    }
    const fixed = new Map(fixedHolders().map((holder) => [holderName(holder), holder]));
    for (const kind of holderKinds) {
      for await (const ids of chunksOf(holderIds[kind], pageSize)) {
        const found = await compiledHolders(kind, await entities.getMany(kind, ids));
        const records = new Map(found.map((holder) => [holder.id, holder]));
        for (const id of ids) {
          const name = holderName({ kind: holderKind[kind], id });
          changes.push({ kind: 'holder', name, holder: fixed.get(name) ?? records.get(id) });
        }
      }
    }
    return changes;
  };

  const isOfCatalogue = ({ kind, id }: Written): boolean =>
    catalogueKinds.has(kind) || (kind === 'budget' && id === options.customerBudgetId?.());

  /** Ids of all customers or tags whose record is made from an entity. */
  const holdersUnder = async (of: HolderEntity, { kind, id }: Written): Promise<string[]> => {
    if (kind === of) return [id];
    return kind === 'budget' ? idsOf(of, 'budget_id', id) : [];
  };

  const compiledHolders = async <K extends HolderEntity>(
    kind: K,
    entries: readonly Stored<K>[],
  ): Promise<HolderRecord[]> => {
    const budgets = await load('budget', idsIn(entries.map(({ document }) => document.budget_id)));
    return entries.flatMap(
      ({ document }) => compileHolder[kind](document, budgets.get(document.budget_id ?? '')) ?? [],
    );
  };

  /** Ids of all keys whose record is made from an entity. */
  const keysUnder = async ({ kind, id }: Written): Promise<string[]> => {
    switch (kind) {
      case 'key':
        return [id];
      case 'team':
        return keyIdsBy('team_id', id);
      case 'user':
        return keyIdsBy('user_id', id);
      case 'team_membership':
        return (await Promise.all(teamIdsIn(id).map((team) => keyIdsBy('team_id', team)))).flat();
      case 'organization': {
        const teams = await idsOf('team', 'organization_id', id);
        const ofTeams = await Promise.all(teams.map((team) => keyIdsBy('team_id', team)));
        return [...(await keyIdsBy('organization_id', id)), ...ofTeams.flat()];
      }
      case 'budget': {
        const organizations = await idsOf('organization', 'budget_id', id);
        const memberships = await idsOf('team_membership', 'budget_id', id);
        const teams = await idsOf('team', 'member_budget_id', id);
        const under = await Promise.all([
          ...organizations.map((one) => keysUnder({ kind: 'organization', id: one })),
          ...memberships.map((one) => keysUnder({ kind: 'team_membership', id: one })),
          ...teams.map((one) => keysUnder({ kind: 'team', id: one })),
        ]);
        return [...(await keyIdsBy('budget_id', id)), ...under.flat()];
      }
      case 'access_group': {
        const teams = await idsOf('team', 'access_group_id', id);
        const ofTeams = await Promise.all(teams.map((team) => keyIdsBy('team_id', team)));
        return [...(await keyIdsBy('access_group_id', id)), ...ofTeams.flat()];
      }
      case 'organization_membership':
      case 'customer':
      case 'tag':
      case 'spend_reset':
      case 'idempotency':
      case 'model':
      case 'credential':
      case 'settings':
      case 'store_transfer':
        return [];
    }
  };

  /** Documents by id, each once. */
  const load = async <K extends Kind>(
    kind: K,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, Documents[K]>> =>
    new Map(
      (ids.length === 0 ? [] : await entities.getMany(kind, ids)).map(({ id, document }) => [
        id,
        document,
      ]),
    );

  const keyIdsBy = (index: IndexName<'key'>, value: string) => idsOf('key', index, value);

  const idsOf = async <K extends Kind>(
    kind: K,
    index: IndexName<K>,
    value: string,
  ): Promise<string[]> => {
    const ids: string[] = [];
    let after: string | undefined;
    do {
      const page = await entities.find(kind, {
        where: { [index]: value } as { [name in IndexName<K>]?: string },
        limit: pageSize,
        ...(after !== undefined && { after }),
      });
      ids.push(...page.rows.map(({ id }) => id));
      after = page.next;
    } while (after !== undefined);
    return ids;
  };

  /** Records of keys, with what is above them read once for all of them. */
  const compiled = async (keys: readonly Stored<'key'>[]): Promise<KeyRecord[]> => {
    const documents = keys.map(({ document }) => document);
    const teams = await load('team', idsIn(documents.map((key) => key.team_id)));
    const users = await load('user', idsIn(documents.map((key) => key.user_id)));
    const memberships = await load(
      'team_membership',
      idsIn(documents.map((key) => membershipId(key.team_id, key.user_id))),
    );
    const organizations = await load(
      'organization',
      idsIn([
        ...documents.map((key) => key.organization_id),
        ...[...teams.values()].map((team) => team.organization_id),
      ]),
    );
    const budgets: ReadonlyMap<string, BudgetDocument> = await load(
      'budget',
      idsIn([
        ...documents.map((key) => key.budget_id),
        ...[...memberships.values()].map((row) => row.budget_id),
        ...[...teams.values()].map(memberBudgetId),
        ...[...organizations.values()].map((row) => row.budget_id),
      ]),
    );
    const accessGroups = await load(
      'access_group',
      idsIn([...documents, ...teams.values()].flatMap((row) => row.access_group_ids ?? [])),
    );
    const compile = options.compile();
    return documents.map((key) => {
      const team = key.team_id === null ? undefined : teams.get(key.team_id);
      const organizationId = organizationIdOf(key, team);
      return compileKey(
        {
          key,
          team,
          user: key.user_id === null ? undefined : users.get(key.user_id),
          membership: memberships.get(membershipId(key.team_id, key.user_id) ?? ''),
          organization:
            organizationId === undefined ? undefined : organizations.get(organizationId),
          budgets,
          accessGroups,
        },
        compile,
      );
    });
  };

  async function* everyRecord(): AsyncGenerator<SingleRecord> {
    yield* options.fixedKeys();
    for await (const page of pages('key')) yield* await compiled(page);
    for (const kind of holderKinds) {
      for await (const page of pages(kind)) yield* await compiledHolders(kind, page);
    }
    yield* fixedHolders();
  }

  const pages = <K extends Kind>(kind: K) => chunksOf(entities.all(kind), pageSize);

  return {
    async publishAll() {
      isAllDue = true;
      await start();
    },
    async publish(written) {
      for (const one of written) waiting.set(nameOf(one), one);
      await start();
    },
    records: everyRecord,
    get behind() {
      return waiting.size + (isAllDue ? 1 : 0);
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** Entities that are holders of limits which requests name. */
type HolderEntity = 'customer' | 'tag';

const holderKinds: readonly HolderEntity[] = ['customer', 'tag'];

const holderKind: { readonly [kind in HolderEntity]: HolderRecord['kind'] } = {
  customer: 'end_user',
  tag: 'tag',
};

const compileHolder: {
  readonly [K in HolderEntity]: (
    document: Documents[K],
    budget: BudgetDocument | undefined,
  ) => HolderRecord | undefined;
} = { customer: compileCustomer, tag: compileTag };

const catalogueKinds: ReadonlySet<Kind> = new Set<Kind>(['model', 'credential', 'settings']);

function idsIn(values: Iterable<string | null | undefined>): string[] {
  return [...new Set([...values].filter((value) => typeof value === 'string'))];
}

function nameOf({ kind, id }: Written): string {
  return `${kind} ${id}`;
}

/** Ids may hold colons themselves: every team that the id of a membership may begin with. */
function teamIdsIn(id: string): string[] {
  return [...id.matchAll(/:/g)].map(({ index }) => id.slice(0, index));
}

function membershipId(teamId: string | null, userId: string | null): string | undefined {
  return teamId === null || userId === null ? undefined : `${teamId}:${userId}`;
}
