import { routeProblem } from '@aigateway/contract/allowed-routes';
import { parseDuration } from '@aigateway/contract/duration';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { noLimits } from '../http/limits.ts';
import type {
  AccessGroupDocument,
  BudgetDocument,
  CustomerDocument,
  KeyDocument,
  KeySecret,
  LimitFields,
  OrganizationDocument,
  OrganizationMembershipDocument,
  TagDocument,
  TeamDocument,
  TeamMember,
  TeamMembershipDocument,
  UserDocument,
  UserRole,
} from '../store/documents.ts';

/** Told of everything of a row that has no place here. */
export type Note = (what: string) => void;

/** Rows of LiteLLM's tables as documents of ours. Names and units are the same; what differs is noted. */

export function budgetOf(row: JsonObject, note: Note): BudgetDocument {
  noteUnused(row, ['model_max_budget'], note);
  return {
    ...tracked(row),
    ...limitsOf(row, {}, note),
    budget_id: textOf(row['budget_id']),
    budget_reset_at: instantOf(row['budget_reset_at']),
    inert: {},
  };
}

const userRoles: ReadonlySet<string> = new Set<UserRole>([
  'proxy_admin',
  'proxy_admin_viewer',
  'internal_user',
  'internal_user_viewer',
]);

export function userOf(row: JsonObject, note: Note): UserDocument {
  const role = optionalText(row['user_role']);
  if (role !== null && !userRoles.has(role)) note(`the role ${role} is not known here: none`);
  if (optionalText(row['password']) !== null) note('passwords of the UI are not taken over');
  noteUnused(row, ['policies'], note);
  notePermission(row, note);
  const metadata = objectOf(row['metadata']);
  return {
    ...tracked(row),
    ...limitsOf(row, metadata, note),
    user_id: textOf(row['user_id']),
    user_email: optionalText(row['user_email']),
    user_alias: optionalText(row['user_alias']),
    user_role: role !== null && userRoles.has(role) ? (role as UserRole) : null,
    sso_user_id: optionalText(row['sso_user_id']),
    models: textsOf(row['models']),
    metadata,
    inert: {},
  };
}

export function organizationOf(row: JsonObject, note: Note): OrganizationDocument {
  notePermission(row, note);
  const metadata = objectOf(row['metadata']);
  // Here they stand in its budget, which others may share.
  noteUnused(metadata, ['model_rpm_limit', 'model_tpm_limit'], note);
  return {
    ...tracked(row),
    organization_id: textOf(row['organization_id']),
    organization_alias: textOf(row['organization_alias']),
    budget_id: textOf(row['budget_id']),
    models: textsOf(row['models']),
    metadata,
    inert: {},
  };
}

const organizationRoles: ReadonlySet<string> = new Set([
  'org_admin',
  'internal_user',
  'internal_user_viewer',
]);

export function organizationMembershipOf(
  row: JsonObject,
  note: Note,
): OrganizationMembershipDocument {
  const role = optionalText(row['user_role']);
  const isKnown = role !== null && organizationRoles.has(role);
  if (!isKnown) note(`the role ${role ?? 'none'} is not known here: internal_user_viewer`);
  return {
    ...tracked(row),
    organization_id: textOf(row['organization_id']),
    user_id: textOf(row['user_id']),
    user_role: (isKnown
      ? role
      : 'internal_user_viewer') as OrganizationMembershipDocument['user_role'],
    budget_id: optionalText(row['budget_id']),
  };
}

/** @param aliases - of the team's row in `LiteLLM_ModelTable` */
export function teamOf(row: JsonObject, aliases: JsonValue | undefined, note: Note): TeamDocument {
  noteUnused(row, ['policies', 'router_settings', 'default_team_member_models'], note);
  notePermission(row, note);
  const metadata = objectOf(row['metadata']);
  noteUnused(metadata, ['guardrails'], note);
  return {
    ...tracked(row),
    ...limitsOf(row, metadata, note),
    team_id: textOf(row['team_id']),
    team_alias: optionalText(row['team_alias']),
    organization_id: optionalText(row['organization_id']),
    members_with_roles: membersOf(row),
    team_member_permissions: textsOf(row['team_member_permissions']),
    ...modelsOf(row, note),
    model_aliases: namesOf(typeof aliases === 'string' ? parsed(aliases) : aliases),
    metadata,
    blocked: row['blocked'] === true,
    credential: null,
    inert: {},
  };
}

/**
 * The models of a key or a team. There an empty list is every model, whatever its groups have; here groups alone would be all it has,
 * so the list says what it was.
 */
function modelsOf(row: JsonObject, note: Note): Pick<KeyDocument, 'models' | 'access_group_ids'> {
  const models = textsOf(row['models']);
  const groups = textsOf(row['access_group_ids']);
  if (groups.length === 0) return { models };
  if (models.length > 0) return { models, access_group_ids: groups };
  note(
    'has access groups and, there as here, every model: take all-proxy-models from its models to hold it to its groups',
  );
  return { models: ['all-proxy-models'], access_group_ids: groups };
}

const ofOtherObjects = [
  'access_mcp_server_ids',
  'access_agent_ids',
  'access_skill_names',
  'mcp_tool_permissions',
];

/** Who has the group stands with keys and teams: LiteLLM's lists of them in the group do not decide. */
export function accessGroupOf(row: JsonObject, note: Note): AccessGroupDocument {
  noteUnused(row, ofOtherObjects, note);
  return {
    ...tracked(row),
    access_group_id: textOf(row['access_group_id']),
    access_group_name: textOf(row['access_group_name']),
    description: optionalText(row['description']),
    access_model_names: textsOf(row['access_model_names']),
    inert: Object.fromEntries(
      ofOtherObjects.flatMap((name) => {
        const value = row[name];
        return value === undefined || value === null ? [] : [[name, value]];
      }),
    ),
  };
}

/** Older rows name members in two lists only. */
function membersOf(row: JsonObject): TeamMember[] {
  const listed = row['members_with_roles'];
  if (Array.isArray(listed) && listed.length > 0) {
    return listed.map(objectOf).map((member) => ({
      role: member['role'] === 'admin' ? 'admin' : 'user',
      user_id: optionalText(member['user_id']),
      user_email: optionalText(member['user_email']),
    }));
  }
  const admins = textsOf(row['admins']);
  const others = textsOf(row['members']).filter((id) => !admins.includes(id));
  return [
    ...admins.map((id): TeamMember => ({ role: 'admin', user_id: id, user_email: null })),
    ...others.map((id): TeamMember => ({ role: 'user', user_id: id, user_email: null })),
  ];
}

/** @param budget - the row of its budget, which names the member's models as well */
export function teamMembershipOf(
  row: JsonObject,
  budget: JsonObject | undefined,
): TeamMembershipDocument {
  return {
    ...tracked(row),
    ...noLimits,
    team_id: textOf(row['team_id']),
    user_id: textOf(row['user_id']),
    budget_id: optionalText(row['budget_id']),
    allowed_models: textsOf(budget?.['allowed_models']),
  };
}

export function customerOf(row: JsonObject, note: Note): CustomerDocument {
  notePermission(row, note);
  return {
    ...tracked(row),
    user_id: textOf(row['user_id']),
    alias: optionalText(row['alias']),
    blocked: row['blocked'] === true,
    budget_id: optionalText(row['budget_id']),
    default_model: optionalText(row['default_model']),
    allowed_model_region: optionalText(row['allowed_model_region']),
    models: textsOf(row['models']),
    inert: {},
  };
}

export function tagOf(row: JsonObject): TagDocument {
  return {
    ...tracked(row),
    name: textOf(row['tag_name']),
    description: optionalText(row['description']),
    models: textsOf(row['models']),
    budget_id: optionalText(row['budget_id']),
  };
}

/** The stable id of an imported key, whose secret may be rotated later. */
export function keyIdOf(token: string): string {
  return `key_${token.slice(0, 32)}`;
}

const unusedOfKeys = [
  'policies',
  'budget_fallbacks',
  'router_settings',
  'config',
  'project_id',
  'agent_id',
];

const unusedMetadata = ['guardrails', 'policies', 'enforced_params', 'prompts', 'logging'];

const keyTypes = ['llm_api', 'management', 'read_only', 'default'] as const;

/** @param overlapping - secrets that go on for a while beside the key's own */
export function keyOf(row: JsonObject, overlapping: readonly KeySecret[], note: Note): KeyDocument {
  const metadata = objectOf(row['metadata']);
  noteUnused(row, unusedOfKeys, note);
  notePermission(row, note);
  noteUnused(metadata, unusedMetadata, note);
  if (row['auto_rotate'] === true) note('is not rotated by itself here');
  const token = textOf(row['token']);
  const routes = textsOf(row['allowed_routes']);
  for (const route of routes) {
    const problem = routeProblem(route);
    if (problem !== undefined)
      note(`${route} among its allowed_routes opens nothing: ${problem.message}`);
  }
  return {
    ...tracked(row),
    ...limitsOf(row, metadata, note),
    key_id: keyIdOf(token),
    secrets: [
      { hash: token, name: optionalText(row['key_name']) ?? 'sk-...', not_after: null },
      ...overlapping,
    ],
    key_alias: optionalText(row['key_alias']),
    user_id: optionalText(row['user_id']),
    team_id: optionalText(row['team_id']),
    organization_id: optionalText(row['organization_id']),
    budget_id: optionalText(row['budget_id']),
    ...modelsOf(row, note),
    aliases: namesOf(row['aliases']),
    allowed_routes: routes,
    key_type: keyTypes.find((type) => type === row['key_type']) ?? 'default',
    metadata,
    permissions: objectOf(row['permissions']),
    tags: textsOf(metadata['tags']),
    blocked: typeof row['blocked'] === 'boolean' ? row['blocked'] : null,
    expires: instantOf(row['expires']),
    max_requests: null,
    rotation_count: numberOf(row['rotation_count']),
    last_rotation_at: instantOf(row['last_rotation_at']),
    inert: {},
  };
}

function limitsOf(row: JsonObject, metadata: JsonObject, note: Note): LimitFields {
  noteUnused(row, ['tpd_limit', 'temp_budget_increase', 'soft_budget'], note);
  const window = optionalText(row['budget_duration']);
  const isKnown = window !== null && parseDuration(window) !== undefined;
  if (window !== null && !isKnown)
    note(`the window ${window} of its budget is not known here: the budget never resets`);
  const windows = Array.isArray(row['budget_limits']) ? row['budget_limits'].map(objectOf) : [];
  return {
    max_budget: optionalNumber(row['max_budget']),
    soft_budget: optionalNumber(row['soft_budget']),
    budget_duration: isKnown ? window : null,
    budget_limits:
      windows.length === 0
        ? null
        : windows.map((one) => ({
            max_budget: numberOf(one['max_budget']),
            budget_duration: textOf(one['budget_duration']),
          })),
    rpm_limit: optionalNumber(row['rpm_limit']),
    tpm_limit: optionalNumber(row['tpm_limit']),
    max_parallel_requests: optionalNumber(row['max_parallel_requests']),
    model_rpm_limit: numbersOf(metadata['model_rpm_limit']),
    model_tpm_limit: numbersOf(metadata['model_tpm_limit']),
    model_max_budget: objectOf(row['model_max_budget']),
  };
}

/** What a row may do with objects that are not here: the row of its permission stands in it as `object_permission`. */
function notePermission(row: JsonObject, note: Note): void {
  const permission = objectOf(row['object_permission']);
  noteUnused(permission, Object.keys(permission), (what) => note(`object_permission: ${what}`));
}

/** Members that ask for something. */
function noteUnused(values: JsonObject, names: readonly string[], note: Note): void {
  for (const name of names) {
    const value = values[name];
    const asksForNothing =
      value === null ||
      value === undefined ||
      (typeof value === 'object' && Object.keys(value).length === 0);
    if (!asksForNothing) note(`${name} has no effect here`);
  }
}

export function tracked(row: JsonObject) {
  const created_at = instantOf(row['created_at']) ?? new Date(0).toISOString();
  return {
    created_at,
    created_by: optionalText(row['created_by']) ?? 'litellm',
    updated_at: instantOf(row['updated_at']) ?? created_at,
    updated_by: optionalText(row['updated_by']) ?? 'litellm',
  };
}

/** ISO 8601 in UTC: LiteLLM's columns have no zone and are UTC. */
export function instantOf(value: JsonValue | undefined): string | null {
  if (typeof value !== 'string') return null;
  const ms = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`);
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

export function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

export function optionalText(value: JsonValue | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

export function textsOf(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

export function objectOf(value: JsonValue | undefined): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}

export function numberOf(value: JsonValue | undefined): number {
  return typeof value === 'number' ? value : 0;
}

function optionalNumber(value: JsonValue | undefined): number | null {
  return typeof value === 'number' ? value : null;
}

function namesOf(value: JsonValue | undefined): { [name: string]: string } {
  const entries = Object.entries(objectOf(value));
  return Object.fromEntries(entries.filter((entry) => typeof entry[1] === 'string')) as {
    [name: string]: string;
  };
}

function numbersOf(value: JsonValue | undefined): { [name: string]: number } | null {
  const entries = Object.entries(objectOf(value)).filter(([, one]) => typeof one === 'number');
  return entries.length === 0 ? null : (Object.fromEntries(entries) as { [name: string]: number });
}

function parsed(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
