import { randomUUID } from 'node:crypto';
import { pairId } from '@aigateway/contract/limits';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { jobEntry } from '../audit/job-entry.ts';
import type { Sealer } from '../http/call.ts';
import { put } from '../http/view.ts';
import { memberBudgetId } from '../publish/compile-key.ts';
import { hasForeignReference, sealParams } from '../models/secrets.ts';
import type { CredentialDocument, KeySecret, ModelDocument } from '../store/documents.ts';
import { absent, ConflictError, UniqueError, type Change } from '../store/entities.ts';
import type { Store } from '../store/store.ts';
import type { LitellmDatabase } from './litellm-database.ts';
import {
  accessGroupOf,
  budgetOf,
  customerOf,
  instantOf,
  keyIdOf,
  keyOf,
  numberOf,
  objectOf,
  optionalText,
  organizationMembershipOf,
  organizationOf,
  tagOf,
  teamMembershipOf,
  teamOf,
  textOf,
  tracked,
  userOf,
} from './litellm-documents.ts';
import type { Opened } from './litellm-secret.ts';
import { missingSpend, type Calendar, type Holder } from './litellm-holders.ts';
import { importUsage } from './litellm-usage.ts';
import { litellmSubjects } from './litellm-tables.ts';

/** `plan` says what `apply` would do, and writes nothing. */
export type ImportAction = 'plan' | 'apply';

export type ImportCounts = {
  /** Taken over, or to be. */
  taken: number;
  /** There already, and left as they are. */
  present: number;
  /** Not taken over; a note says why. */
  left: number;
};

export type ImportReport = {
  readonly counts: { readonly [kind: string]: ImportCounts };
  /** What could not be taken over, or not wholly, and why; holds no secret. */
  readonly notes: readonly string[];
};

export type LitellmImport = {
  readonly from: LitellmDatabase;
  readonly to: Pick<Store, 'entities' | 'ledger'>;
  readonly open: (text: string) => Opened;
  readonly sealer: Sealer;
  readonly calendar: Calendar;
  readonly nowMs: number;
  /** Origins of the Key Vaults that stored entries may refer to. */
  readonly vaults: readonly string[];
  /** Why a model cannot be used here, with the credentials beside it; empty when it can. */
  readonly problemsOf: (model: JsonObject, credentials: readonly JsonObject[]) => readonly string[];
};

/**
 * Takes over what a LiteLLM proxy keeps in its data base. Keys go on working, since their hashes are the same; budgets and what was
 * spent of them stand as they stood; secrets of upstreams are opened and sealed with our key. What is there already stays as it is, so it
 * can run again, and go on where it was broken off. A run that came to its end leaves one record in the audit.
 */
export async function importLitellm(
  input: LitellmImport,
  action: ImportAction,
): Promise<ImportReport> {
  const { from, to } = input;
  const writer = createWriter(to, action);
  const { note, add } = writer;
  const holders: Holder[] = [];
  const holds = (
    dimension: Holder['dimension'],
    id: string,
    row: JsonObject,
    window = optionalText(row['budget_duration']),
  ) => holders.push({ dimension, id, usd: numberOf(row['spend']), window });

  const budgets = new Map<string, JsonObject>();
  const windowOf = (row: JsonObject): string | null =>
    optionalText(budgets.get(textOf(row['budget_id']))?.['budget_duration']);
  const permissions = new Map<JsonValue, JsonObject>();
  for await (const { object_permission_id: id, ...row } of from.rows(
    'LiteLLM_ObjectPermissionTable',
  ))
    permissions.set(id ?? null, row);
  const withPermission = (row: JsonObject): JsonObject => ({
    ...row,
    object_permission: permissions.get(row['object_permission_id'] ?? null) ?? null,
  });
  for await (const row of from.rows('LiteLLM_BudgetTable')) {
    const id = textOf(row['budget_id']);
    budgets.set(id, row);
    await add(put('budget', id, budgetOf(row, note('budget', id))));
  }
  for await (const row of from.rows('LiteLLM_UserTable')) {
    const id = textOf(row['user_id']);
    await add(put('user', id, userOf(withPermission(row), note('user', id))));
    holds('user', id, row);
  }
  for await (const row of from.rows('LiteLLM_OrganizationTable')) {
    const id = textOf(row['organization_id']);
    await add(
      put('organization', id, organizationOf(withPermission(row), note('organization', id))),
    );
    holds('organization', id, row, windowOf(row));
  }
  let spentAsMember = 0;
  for await (const row of from.rows('LiteLLM_OrganizationMembership')) {
    const id = `${textOf(row['organization_id'])}:${textOf(row['user_id'])}`;
    const member = organizationMembershipOf(row, note('organization_membership', id));
    await add(put('organization_membership', id, member));
    if (numberOf(row['spend']) > 0) spentAsMember += 1;
  }
  if (spentAsMember > 0) {
    writer.say(
      `organization_membership: what members spent within their organization (${spentAsMember} of them) is not counted by itself here`,
    );
  }
  for await (const row of from.rows('LiteLLM_AccessGroupTable')) {
    const id = textOf(row['access_group_id']);
    const label = `${id} (${textOf(row['access_group_name'])})`;
    await add(put('access_group', id, accessGroupOf(row, note('access_group', label))), label);
  }
  const aliases = new Map<JsonValue, JsonValue | undefined>();
  for await (const row of from.rows('LiteLLM_ModelTable'))
    aliases.set(row['id'] ?? null, row['aliases']);
  const memberBudgets = new Map<string, string>();
  for await (const row of from.rows('LiteLLM_TeamTable')) {
    const id = textOf(row['team_id']);
    const ofTeam = aliases.get(row['model_id'] ?? null);
    const team = teamOf(withPermission(row), ofTeam, note('team', id));
    await add(put('team', id, team));
    holds('team', id, row);
    memberBudgets.set(id, memberBudgetId(team) ?? '');
  }
  for await (const row of from.rows('LiteLLM_TeamMembership')) {
    const teamId = textOf(row['team_id']);
    const id = pairId(teamId, textOf(row['user_id']));
    const own = budgets.get(textOf(row['budget_id']));
    await add(put('team_membership', id, teamMembershipOf(row, own)));
    // The budget of all members holds where a member's own has no bound.
    const bound =
      typeof own?.['max_budget'] === 'number' ? own : budgets.get(memberBudgets.get(teamId) ?? '');
    holders.push({
      dimension: 'member',
      id,
      named: { teamId, userId: textOf(row['user_id']) },
      usd: numberOf(row['spend']),
      window: optionalText(bound?.['budget_duration']),
    });
  }
  for await (const row of from.rows('LiteLLM_EndUserTable')) {
    const id = textOf(row['user_id']);
    await add(put('customer', id, customerOf(withPermission(row), note('customer', id))));
    holds('customer', id, row, windowOf(row));
  }
  for await (const row of from.rows('LiteLLM_TagTable')) {
    const id = textOf(row['tag_name']);
    await add(put('tag', id, tagOf(row)));
    holds('tag', id, row, windowOf(row));
  }
  const credentials = await importCredentials(input, writer);
  await importModels(input, writer, credentials);

  const overlapping = await overlappingSecrets(from);
  for await (const row of from.rows('LiteLLM_VerificationToken')) {
    const token = textOf(row['token']);
    // The session keys of LiteLLM's UI are of no use elsewhere.
    if (row['team_id'] === 'litellm-dashboard') continue;
    const label =
      optionalText(row['key_alias']) ?? optionalText(row['key_name']) ?? 'without a name';
    if (!/^[0-9a-f]{64}$/.test(token)) {
      writer.leave('key', label, 'is not stored as a hash');
      continue;
    }
    const id = keyIdOf(token);
    const secrets = overlapping.get(token) ?? [];
    await add(put('key', id, keyOf(withPermission(row), secrets, note('key', label))), label);
    holds('key', id, row, optionalText(row['budget_duration']) ?? windowOf(row));
  }
  await writer.flush();
  for await (const row of from.rows('LiteLLM_Config')) {
    writer.say(
      `settings ${textOf(row['param_name'])}: are taken from the configuration file, not from the data base; write there ${Object.keys(objectOf(row['param_value'])).join(', ')}`,
    );
  }
  const used = await importUsage(from, to.ledger, action === 'apply');
  writer.counts['requests'] = { ...used.requests, left: 0 };
  writer.counts['sums by day'] = { ...used.sums, left: 0 };
  await carryOver(input, holders, writer, action);
  await sayWhatIsLeft(from, writer);
  if (action === 'apply') {
    const entry = jobEntry({
      action: 'imported',
      objectId: 'litellm',
      option: '--import',
      result: writer.counts,
    });
    await to.entities.write([], entry);
  }
  return { counts: writer.counts, notes: writer.notes };
}

/** Tables that are not taken over, if they have rows, with the reason. */
async function sayWhatIsLeft(from: LitellmDatabase, { say }: Writer): Promise<void> {
  const tablesOf = (fate: string) =>
    litellmSubjects.filter((subject) => subject.fate === fate).flatMap(({ tables }) => tables);
  const reasons = new Map(
    litellmSubjects.flatMap(({ tables, how }) => tables.map((table) => [table, how] as const)),
  );
  for (const [table, rows] of await from.counts(new Set(tablesOf('carried')))) {
    const why = reasons.get(table) ?? 'this table is not known here';
    if (rows > 0) say(`${table}: ${rows} row${rows === 1 ? '' : 's'} not taken over, ${why}`);
  }
}

/** The rest of what was spent; a plan knows it only once the single requests are counted. */
async function carryOver(
  { to, calendar, nowMs }: LitellmImport,
  holders: readonly Holder[],
  writer: Writer,
  action: ImportAction,
): Promise<void> {
  if (action === 'plan') {
    const spent = holders.filter(({ usd }) => usd > 0).length;
    writer.counts['sums of what was spent'] = { taken: spent, present: 0, left: 0 };
    return;
  }
  const records = await missingSpend(holders, to.ledger, calendar, nowMs);
  const producer = `litellm-sums-${randomUUID()}`;
  const events = records.map((record, index) => ({ sequence: index + 1, record }));
  for (let start = 0; start < events.length; start += 500)
    await to.ledger.append(producer, events.slice(start, start + 500));
  const present = holders.filter(({ usd }) => usd > 0).length - records.length;
  writer.counts['sums of what was spent'] = { taken: records.length, present, left: 0 };
}

async function overlappingSecrets(from: LitellmDatabase): Promise<Map<string, KeySecret[]>> {
  const overlapping = new Map<string, KeySecret[]>();
  for await (const row of from.rows('LiteLLM_DeprecatedVerificationToken')) {
    const active = textOf(row['active_token_id']);
    const secret = {
      hash: textOf(row['token']),
      name: 'sk-...',
      not_after: instantOf(row['revoke_at']) ?? new Date(0).toISOString(),
    };
    overlapping.set(active, [...(overlapping.get(active) ?? []), secret]);
  }
  return overlapping;
}

/** Credentials as the configuration would have them, opened: models are checked with them. */
async function importCredentials(
  { from, open, sealer, vaults }: LitellmImport,
  { add, leave }: Writer,
): Promise<JsonObject[]> {
  const usable: JsonObject[] = [];
  for await (const row of from.rows('LiteLLM_CredentialsTable')) {
    const name = textOf(row['credential_name']);
    const values = opened(objectOf(row['credential_values']), open);
    if (values === undefined) {
      leave('credential', name, lockedReason);
      continue;
    }
    if (hasForeignReference(values, vaults)) {
      leave('credential', name, referenceReason);
      continue;
    }
    const document: CredentialDocument = {
      ...tracked(row),
      credential_name: name,
      credential_values: sealParams(values, sealer),
      credential_info: objectOf(row['credential_info']),
    };
    await add(put('credential', name, document));
    usable.push({ credential_name: name, credential_values: values });
  }
  return usable;
}

const lockedReason =
  'no key opens its secrets: give the salt key of LiteLLM in LITELLM_IMPORT_SALT_KEY, or set them anew';
const referenceReason =
  'refers to variables of the process: put it into the configuration file, where that is possible';

async function importModels(
  { from, open, sealer, vaults, problemsOf }: LitellmImport,
  { add, leave }: Writer,
  credentials: readonly JsonObject[],
): Promise<void> {
  for await (const row of from.rows('LiteLLM_ProxyModelTable')) {
    const id = textOf(row['model_id']);
    const name = textOf(row['model_name']);
    const params = opened(objectOf(row['litellm_params']), open);
    const info: JsonObject = { ...objectOf(row['model_info']), id };
    const label = `${id} (${name})`;
    if (params === undefined) {
      leave('model', label, lockedReason);
      continue;
    }
    if (hasForeignReference(params, vaults) || hasForeignReference(info, [])) {
      leave('model', label, referenceReason);
      continue;
    }
    const problems = problemsOf(
      { model_name: name, litellm_params: params, model_info: info },
      credentials,
    );
    if (problems.length > 0) {
      leave('model', label, problems.join('; '));
      continue;
    }
    const document: ModelDocument = {
      ...tracked(row),
      model_id: id,
      model_name: name,
      litellm_params: sealParams(params, sealer),
      model_info: info,
      blocked: row['blocked'] === true,
    };
    await add(put('model', id, document));
  }
}

/** LiteLLM seals the texts of parameters one by one. */
function opened(params: JsonObject, open: LitellmImport['open']): JsonObject | undefined {
  const result: JsonObject = {};
  for (const [name, value] of Object.entries(params)) {
    const found = typeof value === 'string' ? open(value) : undefined;
    if (found === 'locked') return undefined;
    const next = found === undefined ? value : found.text;
    if (next !== null && next !== undefined) result[name] = next;
  }
  return result;
}

type Writer = {
  readonly counts: { [kind: string]: ImportCounts };
  readonly notes: string[];
  /** Tells of parts of one entry that have no place here. */
  readonly note: (kind: string, label: string) => (what: string) => void;
  readonly say: (text: string) => void;
  /** An entry that is not taken over. */
  readonly leave: (kind: string, label: string, why: string) => void;
  readonly add: (change: Change, label?: string) => Promise<void>;
  readonly flush: () => Promise<void>;
};

const batchEntries = 200;

function createWriter({ entities }: LitellmImport['to'], action: ImportAction): Writer {
  const counts: { [kind: string]: ImportCounts } = {};
  const notes: string[] = [];
  const of = (kind: string): ImportCounts => (counts[kind] ??= { taken: 0, present: 0, left: 0 });
  let batch: { change: Change; label: string }[] = [];

  const leave: Writer['leave'] = (kind, label, why) => {
    of(kind).left += 1;
    notes.push(`${kind} ${label}: not taken over, ${why}`);
  };
  const writeOne = async ({ change, label }: (typeof batch)[number]): Promise<void> => {
    try {
      await entities.write([change]);
      of(change.kind).taken += 1;
    } catch (error) {
      if (error instanceof ConflictError) of(change.kind).present += 1;
      else if (error instanceof UniqueError)
        leave(change.kind, label, `another ${error.kind} has its ${error.index}`);
      else throw error;
    }
  };
  const flush = async (): Promise<void> => {
    const waiting = batch;
    batch = [];
    for (const [kind, group] of Map.groupBy(waiting, ({ change }) => change.kind)) {
      const known = new Set(
        (
          await entities.getMany(
            kind,
            group.map(({ change }) => change.id),
          )
        ).map(({ id }) => id),
      );
      const fresh = group.filter(({ change }) => !known.has(change.id));
      of(kind).present += group.length - fresh.length;
      if (action === 'plan') {
        of(kind).taken += fresh.length;
        continue;
      }
      try {
        if (fresh.length > 0) await entities.write(fresh.map(({ change }) => change));
        of(kind).taken += fresh.length;
      } catch (error) {
        if (!(error instanceof UniqueError || error instanceof ConflictError)) throw error;
        // One of them is in the way: each by itself then.
        for (const one of fresh) await writeOne(one);
      }
    }
  };
  return {
    counts,
    notes,
    note: (kind, label) => (what) => notes.push(`${kind} ${label}: ${what}`),
    say: (text) => notes.push(text),
    leave,
    async add(change, label = change.id) {
      batch.push({ change: { ...change, expected: absent } as Change, label });
      if (batch.length >= batchEntries) await flush();
    },
    flush,
  };
}

/** The report in lines for the operator. */
export function importLines({ counts, notes }: ImportReport, action: ImportAction): string[] {
  const lines = Object.entries(counts).map(
    ([kind, { taken, present, left }]) =>
      `${kind}: ${taken} ${action === 'apply' ? 'taken over' : 'to be taken over'}, ${present} there already, ${left} not`,
  );
  return notes.length === 0 ? lines : [...lines, '', 'Not taken over, or not wholly:', ...notes];
}
