import { proxyError } from '../errors.ts';
import type { Call } from '../http/call.ts';
import type { AccessGroupDocument } from '../store/documents.ts';

/** A key or a team, as far as it concerns its models. */
type Holder = {
  readonly models: readonly string[];
  readonly access_group_ids?: readonly string[];
};

/**
 * The models a holder names, those of its groups among them. Empty = every model, which only a holder without groups has: what its
 * groups no longer hold, or groups that are gone, must not open everything.
 */
export function modelsWithGroups(
  { models, access_group_ids: ids = [] }: Holder,
  groups: ReadonlyMap<string, AccessGroupDocument>,
): readonly string[] {
  if (ids.length === 0) return models;
  const all = [...models, ...ids.flatMap((id) => groups.get(id)?.access_model_names ?? [])];
  return all.length === 0 ? ['no-default-models'] : [...new Set(all)];
}

/** The same for a holder of which the groups are not at hand. */
export async function modelsOf(call: Call, holder: Holder): Promise<readonly string[]> {
  return modelsWithGroups(
    holder,
    await call.view.getMany('access_group', holder.access_group_ids ?? []),
  );
}

/** @throws ApiError 400 for a group that does not exist */
export async function requireAccessGroups(call: Call, ids: readonly string[]): Promise<void> {
  const found = await call.view.getMany('access_group', ids);
  if (ids.every((id) => found.has(id))) return;
  throw proxyError(
    400,
    'bad_request_error',
    'There is no such access group. GET /v1/access_group lists them.',
    'access_group_ids',
  );
}
