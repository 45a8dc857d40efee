import type { JsonObject } from '@aigateway/contract/records';
import { Client } from 'pg';
import { driverOptions, portError } from '../store/postgres/connection.ts';

/** Tables of LiteLLM's published schema that are read, and the order of their rows. */
export const litellmTables = {
  LiteLLM_BudgetTable: 'budget_id',
  LiteLLM_UserTable: 'user_id',
  LiteLLM_OrganizationTable: 'organization_id',
  LiteLLM_OrganizationMembership: 'organization_id, user_id',
  LiteLLM_ModelTable: 'id',
  LiteLLM_TeamTable: 'team_id',
  LiteLLM_TeamMembership: 'team_id, user_id',
  LiteLLM_EndUserTable: 'user_id',
  LiteLLM_TagTable: 'tag_name',
  LiteLLM_AccessGroupTable: 'access_group_id',
  LiteLLM_ObjectPermissionTable: 'object_permission_id',
  LiteLLM_CredentialsTable: 'credential_name',
  LiteLLM_ProxyModelTable: 'model_id',
  LiteLLM_VerificationToken: 'token',
  LiteLLM_DeprecatedVerificationToken: 'token',
  LiteLLM_Config: 'param_name',
  LiteLLM_SpendLogs: '"startTime", request_id',
  LiteLLM_DailyUserSpend: 'date, id',
  LiteLLM_DailyTeamSpend: 'date, id',
  LiteLLM_DailyOrganizationSpend: 'date, id',
  LiteLLM_DailyEndUserSpend: 'date, id',
  LiteLLM_DailyTagSpend: 'date, id',
} as const;

export type LitellmTable = keyof typeof litellmTables;

/** LiteLLM's data base as it stood at one moment. */
export interface LitellmDatabase {
  /**
   * The rows of a table as JSON: timestamps are text in UTC without a zone, as LiteLLM stores them. A table that its release does
   * not have yet is empty.
   */
  rows(table: LitellmTable): AsyncIterable<JsonObject>;
  /** How many rows each table has, whether it is known here or not, but for those that are named. */
  counts(but: ReadonlySet<string>): Promise<ReadonlyMap<string, number>>;
  close(): Promise<void>;
}

const pageRows = 1000;

/**
 * Opens it for reading alone: whatever happens, nothing is changed there.
 *
 * @throws {StoreUnavailableError} if the server cannot be reached
 */
export async function openLitellmDatabase(connectionString: string): Promise<LitellmDatabase> {
  const client = new Client({
    ...driverOptions({ connectionString }),
    statement_timeout: 0,
    query_timeout: 0,
    idle_in_transaction_session_timeout: 0,
  });
  // It fails the statement under way.
  client.on('error', () => undefined);
  await client.connect().catch((error: unknown) => {
    throw portError(error);
  });
  await client.query('begin isolation level repeatable read read only');
  let cursors = 0;
  return {
    async *rows(table) {
      const { rows: known } = await client.query<{ found: string | null }>(
        'select to_regclass($1) as found',
        [`"${table}"`],
      );
      if (typeof known[0]?.found !== 'string') return;
      cursors += 1;
      const cursor = `litellm_${cursors}`;
      await client.query(
        `declare ${cursor} no scroll cursor for select row_to_json(t) as row from "${table}" t order by ${litellmTables[table]}`,
      );
      for (;;) {
        const { rows } = await client.query<{ row: JsonObject }>(
          `fetch ${pageRows} from ${cursor}`,
        );
        for (const { row } of rows) yield row;
        if (rows.length < pageRows) break;
      }
      await client.query(`close ${cursor}`);
    },
    async counts(but) {
      const { rows: tables } = await client.query<{ name: string }>(
        String.raw`select relname as name from pg_class
          where relkind in ('r', 'p') and not relispartition and pg_table_is_visible(oid) and relname like 'LiteLLM\_%' order by relname`,
      );
      const counts = new Map<string, number>();
      for (const { name } of tables) {
        if (but.has(name)) continue;
        const { rows } = await client.query<{ count: string }>(
          `select count(*) as count from ${client.escapeIdentifier(name)}`,
        );
        counts.set(name, Number(rows[0]?.count));
      }
      return counts;
    },
    close: () => client.end(),
  };
}
