import type { HolderRecord, KeyRecord, Records } from '../src/records.ts';
import {
  holderName,
  type Catalogue,
  type SingleRecord,
  type SnapshotChange,
  type SnapshotListener,
} from '../src/snapshot.ts';
import { routerRecord } from './router.fixture.ts';

/** A key as simple as one can be. */
export function keyRecord(keyId: string, overrides: Partial<KeyRecord> = {}): KeyRecord {
  return {
    keyId,
    secrets: [{ hash: `hash-of-${keyId}` }],
    role: 'model',
    ownerId: keyId,
    models: [],
    aliases: {},
    routes: [],
    blocked: false,
    scopes: [],
    modelLimits: {},
    tags: [],
    regions: [],
    ...overrides,
  };
}

/** A blocked customer. */
export function holderRecord(id: string, overrides: Partial<HolderRecord> = {}): HolderRecord {
  return { kind: 'end_user', id, blocked: true, models: [], regions: [], ...overrides };
}

/** A catalogue as small as one can be. */
export function catalogue(overrides: Partial<Catalogue> = {}): Catalogue {
  return {
    models: [],
    deployments: [],
    credentials: [],
    router: routerRecord(),
    settings: {
      sanitiseContentFilter: false,
      responseModel: 'native',
      cleanChatStream: true,
      alwaysIncludeStreamUsage: false,
      repairParameters: true,
      bridge: true,
      exposeUpstream: 'admin',
      budgetExceededStatus: 429,
      forwardHeaders: [],
      dropVendorFields: [],
      spendTagHeaders: [],
      timezone: 'UTC',
      budgetResetTime: '00:00',
      extraRoutes: [],
    },
    ...overrides,
  };
}

/** Records one after another, as a store gives them. */
export async function* listed(...records: SingleRecord[]): AsyncGenerator<SingleRecord> {
  yield* records;
}

/** A listener that keeps what it was told, as a proxy does, and can be waited for. */
export class Follower implements SnapshotListener {
  readonly keys = new Map<string, KeyRecord>();
  readonly holders = new Map<string, HolderRecord>();
  readonly steps: SnapshotChange[] = [];
  schemaVersion = 0;
  replacements = 0;
  revision = 0;
  catalogue: Catalogue | undefined;
  #waiting: { readonly holds: () => boolean; readonly resolve: () => void }[] = [];

  replace({ keys, holders = [], revision, schemaVersion: version, ...rest }: Records): void {
    this.schemaVersion = version;
    this.replacements += 1;
    this.keys.clear();
    for (const key of keys) this.keys.set(key.keyId, key);
    this.holders.clear();
    for (const holder of holders) this.holders.set(holderName(holder), holder);
    this.catalogue = rest;
    this.#reached(revision);
  }

  change(change: SnapshotChange): void {
    this.steps.push(change);
    if (change.kind === 'catalogue') this.catalogue = change.catalogue;
    else if (change.kind === 'holder') {
      if (change.holder === undefined) this.holders.delete(change.name);
      else this.holders.set(change.name, change.holder);
    } else if (change.key === undefined) this.keys.delete(change.keyId);
    else this.keys.set(change.keyId, change.key);
    this.#reached(change.revision);
  }

  /** Resolves as soon as it holds. */
  async until(holds: () => boolean): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve) => this.#waiting.push({ holds, resolve }));
  }

  #reached(revision: number): void {
    this.revision = revision;
    this.#waiting = this.#waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true;
      resolve();
      return false;
    });
  }
}
