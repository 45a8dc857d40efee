import { createCipheriv, hash, randomBytes } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { Client } from 'pg';

/**
 * Tables of LiteLLM's data base, as far as they are read: names, types and defaults are those of its published schema
 * (schema.prisma of the release 1.110).
 */
const tracked = `created_at timestamp(3) not null default now(), created_by text, updated_at timestamp(3) not null default now(), updated_by text`;
const dailySums = (name: string, owner: string): string =>
  `create table "LiteLLM_Daily${name}Spend" (${owner} text, id text primary key default gen_random_uuid(), date text not null, api_key text not null, model text, model_group text,
  custom_llm_provider text, mcp_namespaced_tool_name text, endpoint text, prompt_tokens bigint not null default 0,
  completion_tokens bigint not null default 0, cache_read_input_tokens bigint not null default 0,
  cache_creation_input_tokens bigint not null default 0, spend double precision not null default 0, api_requests bigint not null default 0,
  successful_requests bigint not null default 0, failed_requests bigint not null default 0, created_at timestamp(3) not null default now(),
  updated_at timestamp(3) not null default now());`;
const limits = `max_budget double precision, max_parallel_requests integer, tpm_limit bigint, rpm_limit bigint, tpd_limit bigint, budget_duration text, budget_reset_at timestamp(3)`;

const schema = `
create table "LiteLLM_BudgetTable" (budget_id text primary key, ${limits}, soft_budget double precision,
  model_max_budget jsonb, allowed_models text[] default '{}', ${tracked});
create table "LiteLLM_UserTable" (user_id text primary key, user_alias text, team_id text, sso_user_id text unique,
  organization_id text, object_permission_id text, password text, teams text[] default '{}', user_role text, ${limits},
  spend double precision not null default 0, user_email text, models text[], metadata jsonb not null default '{}',
  allowed_cache_controls text[] default '{}', policies text[] default '{}', model_spend jsonb not null default '{}',
  model_max_budget jsonb not null default '{}', created_at timestamp(3) default now(), updated_at timestamp(3) default now());
create table "LiteLLM_OrganizationTable" (organization_id text primary key, organization_alias text not null, budget_id text not null,
  metadata jsonb not null default '{}', models text[], spend double precision not null default 0, model_spend jsonb not null default '{}',
  object_permission_id text, ${tracked});
create table "LiteLLM_OrganizationMembership" (user_id text, organization_id text, user_role text, spend double precision default 0,
  budget_id text, created_at timestamp(3) default now(), updated_at timestamp(3) default now(), primary key (user_id, organization_id));
create table "LiteLLM_ModelTable" (id serial primary key, aliases jsonb, ${tracked});
create table "LiteLLM_TeamTable" (team_id text primary key, team_alias text, organization_id text, object_permission_id text,
  admins text[], members text[], members_with_roles jsonb not null default '{}', metadata jsonb not null default '{}', ${limits},
  soft_budget double precision, spend double precision not null default 0, models text[], blocked boolean not null default false,
  created_at timestamp(3) not null default now(), updated_at timestamp(3) not null default now(), model_spend jsonb not null default '{}',
  model_max_budget jsonb not null default '{}', router_settings jsonb default '{}', team_member_permissions text[] default '{}',
  access_group_ids text[] default '{}', policies text[] default '{}', budget_limits jsonb, model_id integer unique);
create table "LiteLLM_TeamMembership" (user_id text, team_id text, spend double precision not null default 0,
  total_spend double precision not null default 0, budget_id text, primary key (user_id, team_id));
create table "LiteLLM_EndUserTable" (user_id text primary key, alias text, spend double precision not null default 0,
  allowed_model_region text, default_model text, models text[] default '{}', budget_id text, object_permission_id text, blocked boolean not null default false);
create table "LiteLLM_AccessGroupTable" (access_group_id text primary key, access_group_name text unique not null, description text,
  access_model_names text[] default '{}', access_mcp_server_ids text[] default '{}', mcp_tool_permissions jsonb, access_agent_ids text[] default '{}',
  access_skill_names text[] default '{}', assigned_team_ids text[] default '{}', assigned_key_ids text[] default '{}', ${tracked});
create table "LiteLLM_ObjectPermissionTable" (object_permission_id text primary key, mcp_servers text[] default '{}',
  mcp_tool_permissions jsonb, vector_stores text[] default '{}', agents text[] default '{}', models text[] default '{}');
create table "LiteLLM_TagTable" (tag_name text primary key, description text, models text[], model_info jsonb,
  spend double precision not null default 0, budget_id text, ${tracked});
create table "LiteLLM_CredentialsTable" (credential_id text primary key, credential_name text unique not null, credential_values jsonb not null,
  credential_info jsonb, ${tracked});
create table "LiteLLM_ProxyModelTable" (model_id text primary key, model_name text not null, litellm_params jsonb not null, model_info jsonb,
  blocked boolean not null default false, ${tracked});
create table "LiteLLM_VerificationToken" (token text primary key, key_name text, key_alias text, soft_budget_cooldown boolean not null default false,
  spend double precision not null default 0, expires timestamp(3), models text[], aliases jsonb not null default '{}', config jsonb not null default '{}',
  router_settings jsonb default '{}', user_id text, team_id text, agent_id text, project_id text, permissions jsonb not null default '{}', ${limits},
  metadata jsonb not null default '{}', blocked boolean, allowed_cache_controls text[] default '{}', allowed_routes text[] default '{}', key_type text, budget_fallbacks jsonb not null default '{}',
  total_spend double precision not null default 0,
  policies text[] default '{}', access_group_ids text[] default '{}', model_spend jsonb not null default '{}', model_max_budget jsonb not null default '{}',
  budget_id text, organization_id text, object_permission_id text, last_active timestamp(3), rotation_count integer default 0,
  auto_rotate boolean default false, rotation_interval text, last_rotation_at timestamp(3), key_rotation_at timestamp(3), budget_limits jsonb, ${tracked});
create table "LiteLLM_DeprecatedVerificationToken" (id text primary key, token text unique not null, active_token_id text not null,
  revoke_at timestamp(3) not null, created_at timestamp(3) not null default now());
create table "LiteLLM_Config" (param_name text primary key, param_value jsonb);
create table "LiteLLM_SpendLogs" (request_id text primary key, call_type text not null, api_key text not null default '', spend double precision not null default 0,
  total_tokens integer not null default 0, prompt_tokens integer not null default 0, completion_tokens integer not null default 0,
  "startTime" timestamp(3) not null, "endTime" timestamp(3) not null, model text not null default '', model_id text, model_group text,
  "user" text, metadata jsonb default '{}', request_tags jsonb default '[]', team_id text, organization_id text, end_user text, status text);
${dailySums('User', 'user_id')}
${dailySums('Team', 'team_id')}
${dailySums('Organization', 'organization_id')}
${dailySums('EndUser', 'end_user_id')}
${dailySums('Tag', 'tag')}
${dailySums('Agent', 'agent_id')}
create table "LiteLLM_ProjectTable" (project_id text primary key, project_alias text, team_id text, budget_id text, models text[]);
create table "LiteLLM_OfALaterRelease" (id text primary key);
`;

/** Rows by table, columns by name; maps and lists of maps are JSON. */
export type LitellmRows = {
  readonly [table: string]: readonly { readonly [column: string]: unknown }[];
};

/** Makes the tables, with rows in them. */
export async function fillLitellmDatabase(
  connectionString: string,
  rows: LitellmRows,
): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query(schema);
    await addLitellmRows(client, rows);
  } finally {
    await client.end();
  }
}

async function addLitellmRows(client: Client, rows: LitellmRows): Promise<void> {
  for (const [table, list] of Object.entries(rows)) {
    for (const row of list) {
      const columns = Object.keys(row);
      const names = columns.map((name) => `"${name}"`).join(', ');
      const places = columns.map((_, index) => `$${index + 1}`).join(', ');
      const values = Object.values(row).map((value) =>
        isJson(value) ? JSON.stringify(value) : value,
      );
      await client.query(`insert into "${table}" (${names}) values (${places})`, values);
    }
  }
}

function isJson(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((one) => typeof one === 'object');
  return typeof value === 'object' && value !== null && !(value instanceof Date);
}

/** A text as LiteLLM stores secrets with `encryption_algorithm: aes-256-gcm`. */
export function sealedByLitellmGcm(text: string, salt: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', hash('sha256', salt, 'buffer'), nonce);
  const sealed = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
  return `v2:gcm:${encoded(sealed)}`;
}

/** A text as LiteLLM stores secrets. */
export function sealedByLitellm(text: string, salt: string): string {
  const nonce = randomBytes(24);
  const box = xsalsa20poly1305(hash('sha256', salt, 'buffer'), nonce).encrypt(Buffer.from(text));
  return encoded(Buffer.concat([nonce, box]));
}

/** Base64 for URLs, padded. */
function encoded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}
