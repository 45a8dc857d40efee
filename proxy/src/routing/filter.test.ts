import { describe, expect, it } from 'vitest';
import type { DeploymentRecord } from '@aigateway/contract/records';
import { filterDeployments, type FilterRequest } from './filter.ts';
import { routerRecord } from '../../../contract/test/router.fixture.ts';
import { deploymentRecord, deploymentsOf, ids, TestClock } from './records.fixture.ts';

function groupOf(records: readonly Partial<DeploymentRecord>[]) {
  return deploymentsOf(
    new TestClock(),
    records.map((record) => deploymentRecord(record)),
  ).group('chat');
}

function request(overrides: Partial<FilterRequest> = {}): FilterRequest {
  return {
    key: { regions: [] },
    router: routerRecord(),
    tags: [],
    estimateInputTokens: 100,
    canServe: () => true,
    ...overrides,
  };
}

describe('hard rules', () => {
  it('let everything pass untouched when none concerns the request', () => {
    const group = groupOf([{ id: 'a' }, { id: 'b' }]);
    expect(filterDeployments(group, request()).candidates).toBe(group);
  });

  it('say when there is no such group or no such member', () => {
    expect(filterDeployments([], request()).reason).toBe('no_member');
    const group = groupOf([{ id: 'a' }]);
    expect(filterDeployments(group, request({ deploymentId: 'b' })).reason).toBe('no_member');
    expect(ids(filterDeployments(group, request({ deploymentId: 'a' })).candidates)).toEqual(['a']);
  });

  it('keep blocked deployments out', () => {
    const group = groupOf([{ id: 'a', blocked: true }, { id: 'b' }]);
    expect(ids(filterDeployments(group, request()).candidates)).toEqual(['b']);
    expect(filterDeployments(group.slice(0, 1), request()).reason).toBe('blocked');
  });

  it('keep data in the key’s regions; an unknown place is in none', () => {
    const resource = (region: string) => ({
      id: 'r',
      origin: 'https://x.openai.azure.com',
      basePath: '',
      region,
    });
    const group = groupOf([
      { id: 'unknown' },
      { id: 'sweden', region: 'swedencentral', residency: 'eu' },
      { id: 'france', resource: resource('francecentral'), residency: 'eu' },
      { id: 'us', region: 'eastus2', residency: 'us' },
    ]);
    const inRegions = (regions: string[]): string[] =>
      ids(filterDeployments(group, request({ key: { regions } })).candidates);
    expect(inRegions(['eu'])).toEqual(['sweden', 'france']);
    expect(inRegions(['francecentral'])).toEqual(['france']);
    expect(inRegions(['eu', 'us'])).toEqual(['sweden', 'france', 'us']);
    expect(filterDeployments(group, request({ key: { regions: ['uk'] } })).reason).toBe('region');
  });

  it('send a key’s own credential only to its origins', () => {
    const group = groupOf([{ id: 'a' }, { id: 'b' }]);
    const own = request({ credentialOrigins: ['https://b.openai.azure.com'] });
    expect(ids(filterDeployments(group, own).candidates)).toEqual(['b']);
    expect(filterDeployments(group, request({ credentialOrigins: [] })).reason).toBe('credential');
  });

  it('bring state back to the resource that holds it', () => {
    const group = groupOf([{ id: 'a' }, { id: 'b' }]);
    const pinned = filterDeployments(group, request({ homes: new Set(['res-b']) }));
    expect(ids(pinned.candidates)).toEqual(['b']);
    expect(filterDeployments(group, request({ homes: new Set(['gone']) })).reason).toBe('home');
    expect(filterDeployments(group, request({ homes: new Set() })).candidates).toBe(group);
  });

  it('keep out what cannot serve the operation, itself or over a bridge', () => {
    const group = groupOf([{ id: 'a' }, { id: 'b' }]);
    const canServe: FilterRequest['canServe'] = ({ record }) => record.id === 'b';
    expect(ids(filterDeployments(group, request({ canServe })).candidates)).toEqual(['b']);
    expect(filterDeployments(group, request({ canServe: () => false })).reason).toBe('operation');
  });

  it('leave the context window to the upstream unless pre-call checks are on', () => {
    const group = groupOf([
      { id: 'small', facts: { maxInputTokens: 1_000 } },
      { id: 'large', facts: { maxInputTokens: 100_000 } },
      { id: 'unknown' },
    ]);
    const long = request({ estimateInputTokens: 5_000 });
    expect(filterDeployments(group, long).candidates).toBe(group);
    const router = routerRecord({ preCallChecks: true });
    expect(ids(filterDeployments(group, { ...long, router }).candidates)).toEqual([
      'large',
      'unknown',
    ]);
    const onlySmall = filterDeployments(group.slice(0, 1), { ...long, router });
    expect(onlySmall.reason).toBe('context_window');
  });

  it('report the first rule that left nothing', () => {
    const group = groupOf([{ id: 'a', region: 'eastus2' }]);
    const none = request({ key: { regions: ['eu'] }, canServe: () => false });
    expect(filterDeployments(group, none)).toEqual({ candidates: [], reason: 'region' });
  });
});

describe('tag filtering', () => {
  const group = groupOf([
    { id: 'plain' },
    { id: 'default', tags: ['default'] },
    { id: 'free', tags: ['free'] },
    { id: 'paid', tags: ['paid', 'eu'] },
  ]);
  const byTags = (tags: string[], matchAny = true): string[] =>
    ids(
      filterDeployments(
        group,
        request({ tags, router: routerRecord({ tagFiltering: true, tagMatchAny: matchAny }) }),
      ).candidates,
    );

  it.each([
    ['any tag of the request', ['free', 'eu'], ['free', 'paid']],
    ['the default ones when no tag is known', ['unknown'], ['default']],
    ['the default ones for an untagged request', [], ['default']],
    ['those that have a required tag', ['&paid'], ['paid']],
    ['none when a required tag is not there', ['&gone'], []],
    ['the others when a tag is excluded', ['free', 'paid', '!eu'], ['free']],
    ['all but the excluded when no default is left', ['!default'], ['plain', 'free', 'paid']],
  ])('takes %s', (_, tags, expected) => {
    expect(byTags(tags)).toEqual(expected);
  });

  it('wants every tag when any is not enough', () => {
    expect(byTags(['paid', 'eu'], false)).toEqual(['paid']);
    expect(byTags(['paid', 'free'], false)).toEqual(['default']);
  });

  it('takes all for an untagged request when none is a default', () => {
    const without = group.filter(({ record }) => record.id !== 'default');
    const router = routerRecord({ tagFiltering: true });
    expect(filterDeployments(without, request({ router })).candidates).toHaveLength(3);
    expect(filterDeployments(without, request({ router, tags: ['unknown'] })).reason).toBe('tags');
  });

  it('does nothing unless it is switched on', () => {
    expect(filterDeployments(group, request({ tags: ['free'] })).candidates).toBe(group);
  });
});
