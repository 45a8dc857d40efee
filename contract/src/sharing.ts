import type { LimitScope } from './limits.ts';
import type { HolderRecord, KeyRecord } from './records.ts';

/** Gives one value for all that are the same JSON. */
export type Sharing = <Value extends object | string>(value: Value) => Value;

/**
 * Makes one object of equal ones. Thousands of keys have a handful of policies between them: shared, a key takes half the memory.
 *
 * @returns what gives the same object for every value that is the same JSON; nobody may change it from then on
 */
export function createSharing(): Sharing {
  const known = new Map<string, object | string>();
  return <Value extends object | string>(value: Value): Value => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const same = known.get(text);
    if (same !== undefined && typeof same === typeof value) return same as Value;
    known.set(text, value);
    return value;
  };
}

/** A key that shares with others what it has in common with them: its policy, and the holders of limits above it. */
export function withSharedPolicy(record: KeyRecord, share: Sharing): KeyRecord {
  const { keyId, teamId, userId, organizationId } = record;
  const shared: KeyRecord = {
    ...record,
    ownerId: record.ownerId === keyId ? keyId : share(record.ownerId),
    models: share(record.models),
    aliases: share(record.aliases),
    routes: share(record.routes),
    scopes: record.scopes.map((scope) =>
      scope.kind === 'api_key' || scope.kind === 'model_per_key'
        ? ownScope(scope, keyId, share)
        : share(scope),
    ),
    modelLimits: share(record.modelLimits),
    tags: share(record.tags),
    regions: share(record.regions),
  };
  if (record.chargedScopes !== undefined) shared.chargedScopes = record.chargedScopes.map(share);
  if (teamId !== undefined) shared.teamId = share(teamId);
  if (userId !== undefined) shared.userId = share(userId);
  if (organizationId !== undefined) shared.organizationId = share(organizationId);
  return shared;
}

/** A holder that shares its limits with all that have the same. */
export function withSharedLimits(record: HolderRecord, share: Sharing): HolderRecord {
  const shared: HolderRecord = {
    ...record,
    models: share(record.models),
    regions: share(record.regions),
  };
  if (record.limits !== undefined) shared.limits = share(record.limits);
  if (record.modelLimits !== undefined) shared.modelLimits = share(record.modelLimits);
  return shared;
}

/** Parsed text has a string of its own for each mention of the key's id. */
function ownScope(scope: LimitScope, keyId: string, share: Sharing): LimitScope {
  const id = scope.id === keyId ? keyId : scope.id;
  return {
    kind: scope.kind,
    id,
    label: scope.label === id ? id : scope.label,
    limits: share(scope.limits),
  };
}
