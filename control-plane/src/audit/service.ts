import type { JsonObject } from '@aigateway/contract/records';
import type * as z from 'zod';
import { notFound } from '../errors.ts';
import type { Call, Outcome } from '../http/call.ts';
import type { AuditRecord } from '../store/audit.ts';
import type { listQuery } from './schema.ts';

/** LiteLLM names tables where we name kinds. */
const tables: { readonly [kind: string]: string } = {
  key: 'LiteLLM_VerificationToken',
  user: 'LiteLLM_UserTable',
  team: 'LiteLLM_TeamTable',
  organization: 'LiteLLM_OrganizationTable',
  organization_membership: 'LiteLLM_OrganizationMembership',
  budget: 'LiteLLM_BudgetTable',
  customer: 'LiteLLM_EndUserTable',
  tag: 'LiteLLM_TagTable',
  spend_reset: 'LiteLLM_SpendResetTable',
  model: 'LiteLLM_ProxyModelTable',
  access_group: 'LiteLLM_AccessGroupTable',
  credential: 'LiteLLM_CredentialsTable',
  settings: 'LiteLLM_Config',
  spend: 'LiteLLM_SpendLogs',
};

const largestStep = 1000;

export async function listAudit(call: Call, query: z.output<typeof listQuery>): Promise<Outcome> {
  const kind = Object.keys(tables).find((one) => tables[one] === query.table_name);
  const objectKind = kind ?? query.table_name;
  const filter = {
    ...(query.changed_by !== undefined && { actor: query.changed_by }),
    ...(query.action !== undefined && { action: query.action }),
    ...(objectKind !== undefined && { objectKind }),
    ...(query.object_id !== undefined && { objectId: query.object_id }),
    ...(query.start_date !== undefined && { fromMs: query.start_date }),
    ...(query.end_date !== undefined && { toMs: query.end_date }),
  };
  const { page, page_size: size } = query;
  const total = await call.audit.count(filter);
  let skip = (page - 1) * size;
  let before: number | undefined;
  // The log is walked from its end; pages far back cost what lies before them.
  while (skip > 0) {
    const passed = await call.audit.list({
      ...filter,
      limit: Math.min(skip, largestStep),
      ...(before !== undefined && { before }),
    });
    const last = passed.at(-1);
    if (last === undefined) break;
    before = last.sequence;
    skip -= passed.length;
  }
  const records = await call.audit.list({
    ...filter,
    limit: size,
    ...(before !== undefined && { before }),
  });
  return {
    answer: {
      audit_logs: records.map(auditRow),
      total,
      page,
      page_size: size,
      total_pages: Math.ceil(total / size),
    },
  };
}

export async function showAudit(call: Call, sequence: string): Promise<Outcome> {
  const wanted = /^\d{1,15}$/.test(sequence) ? Number(sequence) : 0;
  const [record] = wanted > 0 ? await call.audit.from(wanted, 1) : [];
  if (record?.sequence !== wanted) throw notFound('Audit record', 'id');
  return { answer: auditRow(record) };
}

/** The records as they are chained, one JSON object in each line: what a verifier needs. */
export async function exportAudit(
  call: Call,
  { from, limit }: { from: number; limit: number },
): Promise<Outcome> {
  const lines: string[] = [];
  let next = from;
  while (lines.length < limit) {
    const records = await call.audit.from(next, Math.min(limit - lines.length, largestStep));
    if (records.length === 0) break;
    lines.push(...records.map((record) => JSON.stringify(record)));
    next = (records.at(-1)?.sequence ?? next) + 1;
  }
  return {
    answer: lines.map((line) => `${line}\n`).join(''),
    contentType: 'application/x-ndjson',
  };
}

function auditRow(record: AuditRecord): JsonObject {
  return {
    id: String(record.sequence),
    updated_at: new Date(record.at).toISOString(),
    changed_by: record.actor,
    changed_by_api_key: record.actorRole,
    on_behalf_of: record.onBehalfOf,
    action: record.action,
    table_name: tables[record.objectKind] ?? record.objectKind,
    object_id: record.objectId,
    before_value: ofSubject(record, record.before),
    updated_values: ofSubject(record, record.after),
  };
}

/** LiteLLM's record is about one object; ours tells all that changed. Where it is only one, it is shown bare. */
function ofSubject(record: AuditRecord, states: JsonObject | null): JsonObject | null {
  if (states === null) return null;
  const place = `${record.objectKind}/${record.objectId}`;
  const only = Object.keys(states).length === 1 ? states[place] : undefined;
  return typeof only === 'object' && only !== null && !Array.isArray(only) ? only : states;
}
