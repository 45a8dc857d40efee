import { randomInt } from 'node:crypto';
import type { UsageRecord } from '@aigateway/contract/usage';
import { noTokens } from '@aigateway/contract/usage';
import type { AuditEntry } from '../../src/store/audit.ts';
import type {
  BudgetDocument,
  CustomerDocument,
  KeyDocument,
  LimitFields,
  TagDocument,
  TeamDocument,
} from '../../src/store/documents.ts';

/** Noon of a Thursday, UTC. */
export const noon = Date.UTC(2026, 10, 26, 12);

export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

/** So many characters of three bytes each that no compression makes less of. */
export function ideographs(length: number): string {
  return Array.from({ length }, () => String.fromCharCode(randomInt(0x4e_00, 0x9f_00))).join('');
}

export const noLimits: LimitFields = {
  max_budget: null,
  soft_budget: null,
  budget_duration: null,
  budget_limits: null,
  rpm_limit: null,
  tpm_limit: null,
  max_parallel_requests: null,
  model_rpm_limit: null,
  model_tpm_limit: null,
  model_max_budget: {},
};

export function trackedSince(createdMs: number) {
  const at = new Date(createdMs).toISOString();
  return { created_at: at, created_by: 'admin', updated_at: at, updated_by: 'admin' };
}

export function keyDocument(
  id: string,
  members: Partial<KeyDocument> = {},
  createdMs = noon,
): KeyDocument {
  return {
    ...trackedSince(createdMs),
    ...noLimits,
    key_id: id,
    secrets: [],
    key_alias: null,
    user_id: null,
    team_id: null,
    organization_id: null,
    budget_id: null,
    models: [],
    aliases: {},
    allowed_routes: [],
    key_type: 'default',
    metadata: {},
    permissions: {},
    tags: [],
    blocked: null,
    expires: null,
    max_requests: null,
    rotation_count: 0,
    last_rotation_at: null,
    inert: {},
    ...members,
  };
}

export function teamDocument(id: string, members: Partial<TeamDocument> = {}): TeamDocument {
  return {
    ...trackedSince(noon),
    ...noLimits,
    team_id: id,
    team_alias: null,
    organization_id: null,
    members_with_roles: [],
    team_member_permissions: [],
    models: [],
    model_aliases: {},
    metadata: {},
    blocked: false,
    credential: null,
    inert: {},
    ...members,
  };
}

export function customerDocument(
  id: string,
  members: Partial<CustomerDocument> = {},
): CustomerDocument {
  return {
    ...trackedSince(noon),
    user_id: id,
    alias: null,
    blocked: false,
    budget_id: null,
    default_model: null,
    allowed_model_region: null,
    models: [],
    inert: {},
    ...members,
  };
}

export function tagDocument(name: string, members: Partial<TagDocument> = {}): TagDocument {
  return {
    ...trackedSince(noon),
    name,
    description: null,
    models: [],
    budget_id: null,
    ...members,
  };
}

export function budgetDocument(id: string, members: Partial<BudgetDocument> = {}): BudgetDocument {
  return {
    ...trackedSince(noon),
    ...noLimits,
    budget_id: id,
    budget_reset_at: null,
    inert: {},
    ...members,
  };
}

export function usageRecord(members: Partial<UsageRecord> = {}): UsageRecord {
  return {
    version: 1,
    requestId: 'request-1',
    startedAt: noon,
    durationMs: 900,
    keyId: 'key-1',
    ownerId: 'key-1',
    tags: [],
    model: 'gpt-5',
    operation: 'chat',
    deploymentId: 'east',
    stream: true,
    status: 200,
    outcome: 'completed',
    tokens: { ...noTokens, input: 10, cachedInput: 4, cacheWrite: 1, output: 5, reasoning: 2 },
    usageSource: 'measured',
    costNanoUsd: 1_000,
    unpriced: false,
    attempts: [],
    ...members,
  };
}

export function auditEntry(members: Partial<AuditEntry> = {}): AuditEntry {
  return {
    at: noon,
    actor: 'admin',
    actorRole: 'proxy_admin',
    onBehalfOf: null,
    action: 'created',
    objectKind: 'key',
    objectId: 'key-1',
    route: 'POST /key/generate',
    requestId: 'request-1',
    before: null,
    after: null,
    ...members,
  };
}
