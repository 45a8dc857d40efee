import { describe, expect, it } from 'vitest';
import type {
  AccessGroupDocument,
  BudgetDocument,
  KeyDocument,
  OrganizationDocument,
  TeamDocument,
  TeamMembershipDocument,
  UserDocument,
} from '../store/documents.ts';
import {
  keyDocument,
  noLimits,
  noon,
  teamDocument,
  trackedSince,
} from '../../test/conformance/documents.ts';
import { compileKey, limitsOf, type KeyRows } from './compile-key.ts';

const tracked = trackedSince(noon);

function keyOf(changes: Partial<KeyDocument> = {}): KeyDocument {
  const secrets = [{ hash: 'aa', name: 'sk-...abcd', not_after: null }];
  return keyDocument('k1', { secrets, ...changes });
}

function teamOf(changes: Partial<TeamDocument> = {}): TeamDocument {
  return teamDocument('t1', { team_alias: 'search', ...changes });
}

function userOf(changes: Partial<UserDocument> = {}): UserDocument {
  return {
    ...tracked,
    ...noLimits,
    user_id: 'u1',
    user_email: 'a@example.com',
    user_alias: null,
    user_role: 'internal_user',
    sso_user_id: null,
    models: [],
    metadata: {},
    inert: {},
    ...changes,
  };
}

function budgetOf(changes: Partial<BudgetDocument> = {}): BudgetDocument {
  return {
    ...tracked,
    ...noLimits,
    budget_id: 'b1',
    budget_reset_at: null,
    inert: {},
    ...changes,
  };
}

const organization: OrganizationDocument = {
  ...tracked,
  organization_id: 'o1',
  organization_alias: 'acme',
  budget_id: 'b1',
  models: ['gpt-*'],
  metadata: {},
  inert: {},
};

const membership: TeamMembershipDocument = {
  ...tracked,
  ...noLimits,
  team_id: 't1',
  user_id: 'u1',
  budget_id: null,
  allowed_models: [],
  max_budget: 5,
};

function compiled(rows: Partial<KeyRows>, options = {}) {
  return compileKey(
    { key: keyOf(), budgets: new Map(), accessGroups: new Map(), ...rows },
    options,
  );
}

describe('the record of a key', () => {
  it('has the secrets, the expiry and the money in the units of the data plane', () => {
    const record = compiled({
      key: keyOf({
        secrets: [
          { hash: 'new', name: 'sk-...2222', not_after: null },
          { hash: 'old', name: 'sk-...1111', not_after: '2026-11-26T10:00:00.000Z' },
        ],
        expires: '2027-01-01T00:00:00.000Z',
        max_budget: 0.1,
        budget_duration: '30d',
        budget_limits: [{ max_budget: 2, budget_duration: '1d' }],
      }),
    });
    expect(record.secrets).toEqual([
      { hash: 'new' },
      { hash: 'old', notAfter: Date.UTC(2026, 10, 26, 10) },
    ]);
    expect(record.expiresAt).toBe(Date.UTC(2027, 0, 1));
    expect(record.scopes).toEqual([
      {
        kind: 'api_key',
        id: 'k1',
        label: 'sk-...2222',
        limits: {
          budgets: [
            { maxNanoUsd: 100_000_000, window: '30d' },
            { maxNanoUsd: 2_000_000_000, window: '1d' },
          ],
        },
      },
    ]);
  });

  it('has its messages logged where its metadata say so, in so many words', () => {
    const logs = (metadata: KeyDocument['metadata']) =>
      compiled({ key: keyOf({ metadata }) }).logsMessages;
    expect(logs({ message_logging: true })).toBe(true);
    for (const metadata of [{}, { message_logging: 'true' }, { logging: [] }])
      expect(logs(metadata)).toBeUndefined();
  });

  it('is owned by its team, else its user, else itself', () => {
    expect(compiled({}).ownerId).toBe('k1');
    expect(compiled({ key: keyOf({ user_id: 'u1' }), user: userOf() }).ownerId).toBe('u1');
    const both = keyOf({ user_id: 'u1', team_id: 't1' });
    expect(compiled({ key: both, user: userOf(), team: teamOf() }).ownerId).toBe('t1');
  });

  it('has the models of its access groups, and never every model for want of them', () => {
    const group = (id: string, models: string[]): AccessGroupDocument => ({
      ...tracked,
      access_group_id: id,
      access_group_name: id,
      description: null,
      access_model_names: models,
      inert: {},
    });
    const accessGroups = new Map([
      ['g1', group('g1', ['m1', 'm2'])],
      ['g2', group('g2', [])],
      ['g3', group('g3', ['all-proxy-models'])],
    ]);
    const models = (key: Partial<KeyDocument>, team?: Partial<TeamDocument>) => {
      const record = compiled({
        key: keyOf({ ...key, ...(team && { team_id: 't1' }) }),
        ...(team && { team: teamOf(team) }),
        accessGroups,
      });
      return [record.models, record.modelsAbove];
    };
    expect(models({ models: ['m0'], access_group_ids: ['g1'] })).toEqual([
      ['m0', 'm1', 'm2'],
      undefined,
    ]);
    expect(models({ access_group_ids: ['g2'] })).toEqual([['no-default-models'], undefined]);
    expect(models({ access_group_ids: ['gone'] })).toEqual([['no-default-models'], undefined]);
    expect(models({ access_group_ids: ['g3'] })).toEqual([[], undefined]);
    expect(models({}, { access_group_ids: ['g1'] })).toEqual([['m1', 'm2'], [['m1', 'm2']]]);
    expect(models({ access_group_ids: ['g1'] }, { models: ['m1'] })).toEqual([
      ['m1', 'm2'],
      [['m1']],
    ]);
    expect(models({}, { access_group_ids: ['gone'] })).toEqual([
      ['no-default-models'],
      [['no-default-models']],
    ]);
  });

  it('stands under every holder of limits above it, the widest first', () => {
    const record = compiled({
      // What a key says of its organization is nothing beside what its team belongs to.
      key: keyOf({ team_id: 't1', user_id: 'u1', organization_id: 'o2', rpm_limit: 1 }),
      team: teamOf({ organization_id: 'o1', rpm_limit: 2 }),
      user: userOf({ rpm_limit: 3 }),
      membership,
      organization,
      budgets: new Map([['b1', budgetOf({ rpm_limit: 4 })]]),
    });
    expect(record.scopes.map(({ kind, id }) => `${kind} ${id}`)).toEqual([
      'organization o1',
      'team t1',
      'team_member t1:u1',
      'api_key k1',
    ]);
  });

  it('counts a user’s limits for keys without a team, or for all where that is set', () => {
    const user = userOf({ rpm_limit: 3 });
    const kinds = (rows: Partial<KeyRows>, options = {}) =>
      compiled(rows, options).scopes.map(({ kind }) => kind);
    const own = keyOf({ user_id: 'u1' });
    const inTeam = keyOf({ user_id: 'u1', team_id: 't1' });
    expect(kinds({ key: own, user })).toEqual(['user', 'api_key']);
    expect(kinds({ key: inTeam, user, team: teamOf() })).toEqual(['api_key']);
    const everywhere = { userLimitsOnTeamKeys: true };
    expect(kinds({ key: inTeam, user, team: teamOf() }, everywhere)).toEqual(['user', 'api_key']);
  });

  it('has its user’s budgets counted where they do not bind it', () => {
    const key = keyOf({ user_id: 'u1', team_id: 't1' });
    const charged = (members: Parameters<typeof userOf>[0], options = {}) =>
      compiled({ key, user: userOf(members), team: teamOf() }, options).chargedScopes;
    expect(charged({ max_budget: 5, budget_duration: '1d' })).toMatchObject([
      { kind: 'user', id: 'u1', limits: { budgets: [{ maxNanoUsd: 5e9, window: '1d' }] } },
    ]);
    expect(charged({ model_max_budget: { a: { max_budget: 1 } } })).toMatchObject([
      { kind: 'user', id: 'u1', modelLimits: { a: { budgets: [{ maxNanoUsd: 1e9 }] } } },
    ]);
    expect(charged({ rpm_limit: 5 })).toBeUndefined();
    expect(charged({ max_budget: 5 }, { userLimitsOnTeamKeys: true })).toBeUndefined();
    const own = compiled({ key: keyOf({ user_id: 'u1' }), user: userOf({ max_budget: 5 }) });
    expect(own).not.toHaveProperty('chargedScopes');
  });

  it('may use what each list above it lets in as well', () => {
    const key = keyOf({ team_id: 't1', user_id: 'u1', models: ['gpt-4o', 'o3'] });
    const team = teamOf({ models: ['gpt-4o', 'gpt-5'] });
    const record = compiled({ key, team, user: userOf({ models: ['o3'] }), organization });
    expect(record.models).toEqual(['gpt-4o', 'o3']);
    expect(record.modelsAbove).toEqual([['gpt-*'], ['gpt-4o', 'gpt-5']]);
    const own = compiled({ key: keyOf({ user_id: 'u1' }), user: userOf({ models: ['o3'] }) });
    expect(own.modelsAbove).toEqual([['o3']]);
    expect(
      compiled({ key: keyOf({ models: ['all-team-models'], team_id: 't1' }), team }).models,
    ).toEqual(['gpt-4o', 'gpt-5']);
    expect(compiled({ key: keyOf({ models: ['all-proxy-models'] }) }).models).toEqual([]);
  });

  it('takes the limits of its budget where it has none of its own', () => {
    const budgets = new Map([['b1', budgetOf({ rpm_limit: 10, tpm_limit: 500 })]]);
    const record = compiled({ key: keyOf({ budget_id: 'b1', rpm_limit: 3 }), budgets });
    expect(record.scopes.at(-1)?.limits).toEqual({ requestsPerMinute: 3, tokensPerMinute: 500 });
  });

  it('has limits for single models with whoever they are of, of each field the nearest', () => {
    const budgets = new Map(
      ['b1', 'b2', 'b3'].map((id, at) => [
        id,
        budgetOf({ model_rpm_limit: { a: at + 1 }, model_tpm_limit: { b: at + 1 } }),
      ]),
    );
    const record = compiled({
      key: keyOf({ team_id: 't1', user_id: 'u1', budget_id: 'b3', model_rpm_limit: { c: 9 } }),
      team: teamOf({ organization_id: 'o1', metadata: { team_member_budget_id: 'b2' } }),
      membership: { ...membership, max_budget: null },
      organization,
      budgets,
    });
    expect(record.modelLimits).toEqual({ c: { requestsPerMinute: 9 }, b: { tokensPerMinute: 3 } });
    const both = (limit: number) => ({
      a: { requestsPerMinute: limit },
      b: { tokensPerMinute: limit },
    });
    expect(record.scopes.map(({ kind, modelLimits }) => [kind, modelLimits])).toEqual([
      ['organization', both(1)],
      ['team_member', both(2)],
      ['api_key', undefined],
    ]);
    const model_max_budget = { a: { budget_limit: 2, time_period: '1d' } };
    const user = userOf({ model_rpm_limit: { a: 5 }, model_max_budget });
    const own = compiled({ key: keyOf({ user_id: 'u1' }), user });
    const budgetsOfA = [{ maxNanoUsd: 2_000_000_000, window: '1d' }];
    expect(own.scopes[0]).toMatchObject({
      kind: 'user',
      modelLimits: { a: { requestsPerMinute: 5, budgets: budgetsOfA } },
    });
    const ofTeam = compiled({ key: keyOf({ team_id: 't1' }), team: teamOf({ model_max_budget }) });
    expect(ofTeam.scopes[0]?.modelLimits).toEqual({ a: { budgets: budgetsOfA } });
  });

  it('is blocked with its team, and goes by its aliases after the team’s', () => {
    const key = keyOf({ team_id: 't1', aliases: { fast: 'gpt-4o-mini' } });
    const team = teamOf({ blocked: true, model_aliases: { default: 'fast' } });
    const record = compiled({ key, team });
    expect(record.blocked).toBe(true);
    expect(record.aliases).toEqual({ fast: 'gpt-4o-mini', default: 'gpt-4o-mini' });
  });

  it('has limits for single models', () => {
    const record = compiled({
      key: keyOf({
        model_rpm_limit: { a: 5 },
        model_max_budget: {
          a: { rpm_limit: 9, tpm_limit: 90 },
          b: { budget_limit: 1, time_period: '1d' },
          c: 'nonsense',
          d: { max_budget: 1, budget_duration: null, rpm_limit: 5, tpm_limit: 'many' },
          e: { budget_limit: 1, time_period: 1 },
          f: {},
        },
      }),
    });
    expect(record.modelLimits).toEqual({
      a: { requestsPerMinute: 5, tokensPerMinute: 90 },
      b: { budgets: [{ maxNanoUsd: 1_000_000_000, window: '1d' }] },
      c: { budgets: [{ maxNanoUsd: 0 }] },
      d: { requestsPerMinute: 5, tokensPerMinute: 0, budgets: [{ maxNanoUsd: 1_000_000_000 }] },
      e: { budgets: [{ maxNanoUsd: 0 }] },
      f: { budgets: [{ maxNanoUsd: 0 }] },
    });
  });

  it('has those of its team for single models, which have the team to themselves', () => {
    const key = keyOf({ team_id: 't1', model_rpm_limit: { a: 5 } });
    const team = teamOf({ model_rpm_limit: { a: 9, 'b-*': 1 }, model_tpm_limit: { a: 100 } });
    const { modelLimits, scopes } = compiled({ key, team });
    expect(modelLimits).toEqual({ a: { requestsPerMinute: 5 } });
    expect(scopes[0]).toEqual({
      kind: 'team',
      id: 't1',
      label: 'search',
      limits: {},
      modelLimits: {
        a: { requestsPerMinute: 9, tokensPerMinute: 100 },
        'b-*': { requestsPerMinute: 1 },
      },
    });
    const without = teamOf({ model_rpm_limit: {}, rpm_limit: 1 });
    expect(compiled({ key, team: without }).scopes[0]).not.toHaveProperty('modelLimits');
  });

  it('says administrator only where its user is one', () => {
    const key = keyOf({ user_id: 'u1' });
    expect(compiled({ key, user: userOf() }).role).toBe('model');
    expect(compiled({ key, user: userOf({ user_role: 'proxy_admin' }) }).role).toBe('admin');
  });
});

describe('limits of a row', () => {
  it('are none where the row has none, and zero where it says zero', () => {
    expect(limitsOf(noLimits)).toEqual({});
    expect(limitsOf({ ...noLimits, rpm_limit: 0, max_budget: 0 })).toEqual({
      requestsPerMinute: 0,
      budgets: [{ maxNanoUsd: 0 }],
    });
  });
});
