import type { JsonObject } from '@aigateway/contract/records';
import type { Call } from '../http/call.ts';
import { budgetResetAt } from '../http/limits.ts';
import { type Spent, spentBy } from '../spend/sums.ts';
import type { BudgetDocument, KeyDocument } from '../store/documents.ts';

/** The newest secret: LiteLLM's `token` and `key_name`. */
export function currentSecret(key: KeyDocument): { hash: string; name: string } {
  return key.secrets[0] ?? { hash: '', name: '' };
}

export function keyStatus(key: KeyDocument, now: number): 'active' | 'expired' | 'revoked' {
  if (key.blocked) return 'revoked';
  return key.expires !== null && Date.parse(key.expires) <= now ? 'expired' : 'active';
}

/** Keys as LiteLLM shows them, with what they spent; three questions to the ledger however many they are. */
export async function keyRows(call: Call, keys: readonly KeyDocument[]): Promise<JsonObject[]> {
  const { spent, budgets, windowOf } = await spentByKeys(call, keys);
  const used = await call.ledger.lastUse(
    'key',
    keys.map(({ key_id }) => key_id),
  );
  return keys.map((key) =>
    keyRow(
      key,
      { ...spent(key.key_id), usedAt: used.get(key.key_id) },
      budgets.get(key.budget_id ?? ''),
      windowOf(key),
      call,
    ),
  );
}

/** What keys spent, each in the window of its budget, its own or a shared one. */
export async function spentByKeys(call: Call, keys: readonly KeyDocument[]) {
  const budgets = await call.view.getMany(
    'budget',
    keys.flatMap(({ budget_id }) => budget_id ?? []),
  );
  const windowOf = (key: KeyDocument) =>
    key.budget_duration ?? budgets.get(key.budget_id ?? '')?.budget_duration ?? null;
  const spent = await spentBy(
    call,
    'key',
    keys.map((key) => ({ id: key.key_id, window: windowOf(key) })),
  );
  return { spent, budgets, windowOf };
}

function keyRow(
  key: KeyDocument,
  { spend, total, usedAt }: Spent & { usedAt: number | undefined },
  budget: BudgetDocument | undefined,
  window: string | null,
  call: Call,
): JsonObject {
  const { inert: kept } = key;
  const { hash, name } = currentSecret(key);
  return {
    token: hash,
    key_id: key.key_id,
    key_name: name,
    key_alias: key.key_alias,
    spend,
    total_spend: total,
    expires: key.expires,
    models: [...key.models],
    aliases: key.aliases,
    config: kept['config'] ?? {},
    router_settings: kept['router_settings'] ?? null,
    user_id: key.user_id,
    team_id: key.team_id,
    agent_id: kept['agent_id'] ?? null,
    project_id: kept['project_id'] ?? null,
    organization_id: key.organization_id,
    permissions: key.permissions,
    metadata: key.metadata,
    tags: [...key.tags],
    blocked: key.blocked,
    max_parallel_requests: key.max_parallel_requests,
    rpm_limit: key.rpm_limit,
    tpm_limit: key.tpm_limit,
    tpd_limit: null,
    model_rpm_limit: key.model_rpm_limit,
    model_tpm_limit: key.model_tpm_limit,
    max_budget: key.max_budget,
    soft_budget: key.soft_budget,
    budget_duration: key.budget_duration,
    budget_reset_at: budgetResetAt(window, call),
    budget_limits: key.budget_limits === null ? null : [...key.budget_limits],
    model_max_budget: key.model_max_budget,
    model_spend: {},
    budget_id: key.budget_id,
    litellm_budget_table: budgetTable(key, budget),
    allowed_cache_controls: kept['allowed_cache_controls'] ?? [],
    allowed_routes: [...key.allowed_routes],
    key_type: key.key_type,
    max_requests: key.max_requests,
    created_at: key.created_at,
    created_by: key.created_by,
    updated_at: key.updated_at,
    updated_by: key.updated_by,
    settings_updated_at: key.updated_at,
    last_active: usedAt === undefined ? null : new Date(usedAt).toISOString(),
    soft_budget_cooldown: false,
    rotation_count: key.rotation_count,
    last_rotation_at: key.last_rotation_at,
    key_rotation_at: null,
    auto_rotate: kept['auto_rotate'] ?? false,
    rotation_interval: kept['rotation_interval'] ?? null,
    access_group_ids: [...(key.access_group_ids ?? [])],
    policies: [],
    object_permission: kept['object_permission'] ?? null,
    object_permission_id: null,
    budget_fallbacks: kept['budget_fallbacks'] ?? null,
    status: keyStatus(key, call.now),
  };
}

/** LiteLLM keeps a key's soft budget in a budget of its own, and its clients look for it there. */
function budgetTable(key: KeyDocument, budget: BudgetDocument | undefined): JsonObject | null {
  if (budget === undefined && key.soft_budget === null) return null;
  return {
    budget_id: budget?.budget_id ?? null,
    max_budget: budget?.max_budget ?? null,
    soft_budget: key.soft_budget ?? budget?.soft_budget ?? null,
    max_parallel_requests: budget?.max_parallel_requests ?? null,
    tpm_limit: budget?.tpm_limit ?? null,
    rpm_limit: budget?.rpm_limit ?? null,
    budget_duration: budget?.budget_duration ?? null,
    model_max_budget: budget?.model_max_budget ?? {},
  };
}
