import type { JsonObject, JsonValue } from '@aigateway/contract/records';

/**
 * What the control plane keeps, as the management API shows it: members have LiteLLM's names and units (USD, ISO 8601 in UTC,
 * durations as text), so that a row goes out as it is. What a proxy works with is compiled from it (`publish/`).
 */
type Tracked = {
  created_at: string;
  created_by: string;
  updated_at: string;
  updated_by: string;
};

/** Limits that keys, users, teams, customers and budgets may have. Null = none. */
export type LimitFields = {
  max_budget: number | null;
  soft_budget: number | null;
  /** LiteLLM's duration grammar; null = the budget never resets. */
  budget_duration: string | null;
  /** Several windows at once. */
  budget_limits: readonly { max_budget: number; budget_duration: string }[] | null;
  rpm_limit: number | null;
  tpm_limit: number | null;
  max_parallel_requests: number | null;
  model_rpm_limit: { [model: string]: number } | null;
  model_tpm_limit: { [model: string]: number } | null;
  model_max_budget: JsonObject;
};

/** One secret of a key. Several overlap during a rotation. */
export type KeySecret = {
  /** Lower-case hex SHA-256 of the whole secret: LiteLLM's `token`. */
  hash: string;
  /** `sk-...` and the last four characters. */
  name: string;
  /** When it stops being valid; null = with the key. */
  not_after: string | null;
};

export type KeyDocument = Tracked &
  LimitFields & {
    /** Stable over rotation; usage, budgets and limits hang on it. */
    key_id: string;
    /** The newest first. */
    secrets: readonly KeySecret[];
    /** Who may know the secret besides the user: the key can manage no more than this one may. Absent = `created_by`. */
    granted_by?: string;
    key_alias: string | null;
    user_id: string | null;
    team_id: string | null;
    organization_id: string | null;
    budget_id: string | null;
    models: readonly string[];
    /** Whose models count as if they stood in `models`. Absent = none. */
    access_group_ids?: readonly string[];
    aliases: { [asked: string]: string };
    allowed_routes: readonly string[];
    key_type: 'llm_api' | 'management' | 'read_only' | 'default';
    metadata: JsonObject;
    permissions: JsonObject;
    tags: readonly string[];
    blocked: boolean | null;
    expires: string | null;
    /** Settled requests after which the key ends; null = no such end. */
    max_requests: number | null;
    rotation_count: number;
    last_rotation_at: string | null;
    /** Fields of LiteLLM that are kept and shown, and have no effect here. */
    inert: JsonObject;
  };

export type UserDocument = Tracked &
  LimitFields & {
    user_id: string;
    user_email: string | null;
    user_alias: string | null;
    user_role: UserRole | null;
    sso_user_id: string | null;
    models: readonly string[];
    metadata: JsonObject;
    inert: JsonObject;
  };

export type UserRole =
  | 'proxy_admin'
  | 'proxy_admin_viewer'
  | 'internal_user'
  | 'internal_user_viewer';

export type TeamMember = {
  role: 'admin' | 'user';
  user_id: string | null;
  user_email: string | null;
};

export type TeamDocument = Tracked &
  LimitFields & {
    team_id: string;
    team_alias: string | null;
    organization_id: string | null;
    members_with_roles: readonly TeamMember[];
    team_member_permissions: readonly string[];
    models: readonly string[];
    /** Whose models count as if they stood in `models`. Absent = none. */
    access_group_ids?: readonly string[];
    model_aliases: { [asked: string]: string };
    metadata: JsonObject;
    blocked: boolean;
    /** Name of a credential that the team's calls go upstream with; null = the deployments' own. */
    credential: string | null;
    inert: JsonObject;
  };

/** A user's place in a team, with limits of its own there. The id is `<team_id>:<user_id>`. */
export type TeamMembershipDocument = Tracked &
  LimitFields & {
    team_id: string;
    user_id: string;
    budget_id: string | null;
    allowed_models: readonly string[];
  };

export type OrganizationDocument = Tracked & {
  organization_id: string;
  organization_alias: string;
  budget_id: string;
  models: readonly string[];
  metadata: JsonObject;
  inert: JsonObject;
};

/** The id is `<organization_id>:<user_id>`. */
export type OrganizationMembershipDocument = Tracked & {
  organization_id: string;
  user_id: string;
  user_role: 'org_admin' | 'internal_user' | 'internal_user_viewer';
  budget_id: string | null;
};

export type CustomerDocument = Tracked & {
  user_id: string;
  alias: string | null;
  blocked: boolean;
  budget_id: string | null;
  default_model: string | null;
  allowed_model_region: string | null;
  models: readonly string[];
  inert: JsonObject;
};

/** A tag of requests that has a description, limits or deployments of its own. The id is the name. */
export type TagDocument = Tracked & {
  name: string;
  description: string | null;
  /** Ids of the deployments that it was put on. */
  models: readonly string[];
  budget_id: string | null;
};

/** What the spend of a holder of budgets was set to. The id is `<dimension>:<holder's id>`; the last time is kept. */
export type SpendResetDocument = Tracked & {
  dimension: string;
  holder_id: string;
  /** Milliseconds since the epoch. */
  reset_at_ms: number;
  /** What counted as spent from then on. */
  set_to_nano_usd: number;
  /** What the ledger had counted in all. */
  ledger_nano_usd: number;
};

/** The answer to a request that came with an `Idempotency-Key`. The id is made of sender, route and header. */
export type IdempotencyDocument = Tracked & {
  /** Digest of what was asked for. */
  request: string;
  /** Without secrets: those are shown once. */
  answer: JsonValue;
};

export type BudgetDocument = Tracked &
  LimitFields & {
    budget_id: string;
    budget_reset_at: string | null;
    inert: JsonObject;
  };

/** A deployment, as an entry of `model_list`; secrets in `litellm_params` are sealed (`secrets/`). */
export type ModelDocument = Tracked & {
  model_id: string;
  model_name: string;
  litellm_params: JsonObject;
  model_info: JsonObject;
  blocked: boolean;
};

/** Models under one name, which keys and teams are given as one. */
export type AccessGroupDocument = Tracked & {
  access_group_id: string;
  access_group_name: string;
  description: string | null;
  access_model_names: readonly string[];
  inert: JsonObject;
};

export type CredentialDocument = Tracked & {
  credential_name: string;
  /** Sealed. */
  credential_values: JsonObject;
  credential_info: JsonObject;
};

/** Settings of the router and of the gateway that the API changed. The id is the section's name. */
export type SettingsDocument = Tracked & { section: string; values: JsonObject };

/** What a store is being filled from, while it is: until then it is no store to work with. The id is `unfinished`. */
export type StoreTransferDocument = Tracked & { source: string };

/** Every kind of entity, by the name it is stored under. */
export type Documents = {
  key: KeyDocument;
  user: UserDocument;
  team: TeamDocument;
  team_membership: TeamMembershipDocument;
  organization: OrganizationDocument;
  organization_membership: OrganizationMembershipDocument;
  customer: CustomerDocument;
  tag: TagDocument;
  budget: BudgetDocument;
  spend_reset: SpendResetDocument;
  idempotency: IdempotencyDocument;
  model: ModelDocument;
  access_group: AccessGroupDocument;
  credential: CredentialDocument;
  settings: SettingsDocument;
  store_transfer: StoreTransferDocument;
};

export type Kind = keyof Documents;
