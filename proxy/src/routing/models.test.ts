import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeploymentRecord, ModelRecord, RouterRecord } from '@aigateway/contract/records';
import {
  fallbackChain,
  isServed,
  mayUse,
  ModelIndex,
  upstreamName,
  visibleModels,
  type ResolvedModel,
} from './models.ts';
import { routerRecord } from '../../../contract/test/router.fixture.ts';
import { deploymentRecord } from './records.fixture.ts';

function indexOf(
  deployments: readonly Partial<DeploymentRecord>[],
  router: Partial<RouterRecord> = {},
  models: readonly ModelRecord[] = [],
): ModelIndex {
  return new ModelIndex({
    deployments: deployments.map((record) => deploymentRecord(record)),
    router: routerRecord(router),
    models,
  });
}

function resolved(index: ModelIndex, name: string): ResolvedModel {
  const model = index.resolve(name);
  if (model === undefined) throw new Error(`${name} is not resolved`);
  return model;
}

describe('a model name', () => {
  const index = indexOf(
    [
      { id: 'd1', model: 'gpt-4o' },
      { id: 'd2', model: 'azure/*', deployment: 'eu-*', litellmModel: 'azure/*' },
      { id: 'd3', model: 'azure/gpt-5*', deployment: 'five*' },
      { id: 'd4', model: 'o4' },
    ],
    { aliases: { 'gpt-4': { model: 'gpt-4o', hidden: false } } },
  );

  it('leads to the group of that name', () => {
    expect(index.resolve('gpt-4o')).toMatchObject({ group: 'gpt-4o', name: 'gpt-4o' });
  });

  it('leads through the router’s alias', () => {
    expect(index.resolve('gpt-4')).toMatchObject({ group: 'gpt-4o', name: 'gpt-4o' });
  });

  it('leads through the key’s alias first, then the router’s', () => {
    expect(index.resolve('mine', { aliases: { mine: 'gpt-4' } })?.group).toBe('gpt-4o');
    expect(index.resolve('gpt-4o', { aliases: { 'gpt-4o': 'o4' } })?.group).toBe('o4');
  });

  it('may be the id of a deployment', () => {
    expect(index.resolve('d4')).toMatchObject({ group: 'o4', name: 'o4', deploymentId: 'd4' });
  });

  it('leads to the most specific wildcard and fills its star', () => {
    const model = resolved(index, 'azure/gpt-5-mini');
    expect(model).toMatchObject({
      group: 'azure/gpt-5*',
      name: 'azure/gpt-5-mini',
      filled: '-mini',
    });
    const [deployment] = index.deployments(model.group);
    expect(deployment && upstreamName(deployment, model)).toBe('five-mini');
    expect(index.resolve('azure/o3')).toMatchObject({ group: 'azure/*', filled: 'o3' });
  });

  it('keeps special replacement patterns of a filled name as they are', () => {
    const model = resolved(index, 'azure/$&');
    const [deployment] = index.deployments(model.group);
    expect(deployment && upstreamName(deployment, model)).toBe('eu-$&');
  });

  it('that nothing serves leads nowhere, or to the first default fallback', () => {
    expect(index.resolve('unknown')).toBeUndefined();
    expect(index.resolve('__proto__')).toBeUndefined();
    expect(index.resolve('constructor', { aliases: {} })).toBeUndefined();
    const withDefault = indexOf([{ model: 'gpt-4o' }], { defaultFallbacks: ['gpt-4o'] });
    expect(withDefault.resolve('unknown')?.group).toBe('gpt-4o');
  });
});

describe('a key’s list of models', () => {
  const index = indexOf(
    [
      { id: 'd1', model: 'gpt-4o', litellmModel: 'azure/x' },
      { id: 'd2', model: 'team/*' },
    ],
    { aliases: { alias: { model: 'gpt-4o', hidden: false } } },
    [{ name: 'gpt-4o', hidden: false, accessGroups: ['production'] }],
  );
  const may = (models: string[], name: string, teamId?: string): boolean =>
    mayUse({ models, ...(teamId !== undefined && { teamId }) }, resolved(index, name));

  it.each([
    ['an empty list', []],
    ['the name', ['gpt-4o']],
    ['a pattern', ['gpt-*']],
    ['an access group', ['production']],
    ['all-proxy-models', ['all-proxy-models']],
    ['a star', ['*']],
    ['the provider’s wildcard for a bare name', ['azure/*']],
    ['all-team-models on a key without a team', ['all-team-models']],
  ])('lets a model in by %s', (_, models) => {
    expect(may(models, 'gpt-4o')).toBe(true);
  });

  it.each([
    ['another name', ['gpt-4']],
    ['another pattern', ['o*', 'gpt-5*']],
    ['another provider', ['openai/*']],
    ['no-default-models', ['no-default-models']],
    ['no-default-models beside the name', ['no-default-models', 'gpt-4o']],
  ])('keeps a model out by %s', (_, models) => {
    expect(may(models, 'gpt-4o')).toBe(false);
  });

  it('does not open everything by all-team-models on a key of a team', () => {
    expect(may(['all-team-models'], 'gpt-4o', 'team-1')).toBe(false);
  });

  it('lets a router alias in by its own or its target’s name', () => {
    expect(may(['alias'], 'alias')).toBe(true);
    expect(may(['gpt-4o'], 'alias')).toBe(true);
    expect(may(['alias'], 'gpt-4o')).toBe(false);
  });

  it('asks for the target of a key’s alias, not for the alias', () => {
    const key = { aliases: { mine: 'gpt-4o' } };
    const model = index.resolve('mine', key);
    expect(model && mayUse({ models: ['mine'] }, model)).toBe(false);
    expect(model && mayUse({ models: ['gpt-4o'] }, model)).toBe(true);
  });

  it('lets concrete names of a wildcard group in', () => {
    expect(may(['team/a'], 'team/a')).toBe(true);
    expect(may(['team/a'], 'team/b')).toBe(false);
  });
});

describe('the list of models', () => {
  const index = indexOf(
    [
      { id: 'd1', model: 'a' },
      { id: 'd2', model: 'secret' },
      { id: 'd3', model: 'b' },
      { id: 'd4', model: 'wild/*' },
    ],
    {
      aliases: {
        shown: { model: 'a', hidden: false },
        unseen: { model: 'a', hidden: true },
        dangling: { model: 'gone', hidden: false },
      },
    },
    [{ name: 'secret', hidden: true, accessGroups: [] }],
  );
  const list = (models: string[]): string[] => visibleModels(index, { models }).map(({ id }) => id);

  it('shows groups and public aliases, not hidden ones and not patterns', () => {
    expect(list([])).toEqual(['a', 'b', 'shown']);
  });

  it('shows only what the key may use', () => {
    expect(list(['b'])).toEqual(['b']);
    expect(list(['no-default-models'])).toEqual([]);
  });

  it('shows the names that the key’s list spells out for a wildcard group', () => {
    expect(list(['wild/x', 'a'])).toEqual(['a', 'shown', 'wild/x']);
  });

  it('shows default models that a wildcard group serves, unless it is hidden or the key may not use them', () => {
    const defaultModels = { chat: 'five', responses: 'five', embeddings: 'vectors' };
    const list = (hidden: boolean, models: string[]): string[] => {
      const group = { name: '*', hidden, accessGroups: [] };
      const wild = indexOf([{ id: 'd1', model: '*' }], { defaultModels }, [group]);
      return visibleModels(wild, { models }).map(({ id }) => id);
    };
    expect(list(false, [])).toEqual(['five', 'vectors']);
    expect(list(false, ['five'])).toEqual(['five']);
    expect(list(true, [])).toEqual([]);
  });

  it('does not show a default model that only a default fallback answers for', () => {
    const router = { defaultModels: { chat: 'gone' }, defaultFallbacks: ['a'] };
    const visible = visibleModels(indexOf([{ id: 'd1', model: 'a' }], router), { models: [] });
    expect(visible.map(({ id }) => id)).toEqual(['a']);
  });
});

describe('a model', () => {
  it('is served unless all its deployments are paused, and those of every fallback', () => {
    const paused = { blocked: true };
    const index = indexOf(
      [
        { id: 'd1', model: 'half', ...paused },
        { id: 'd2', model: 'half' },
        ...['whole', 'kept', 'vain', 'wild/*'].map((model) => ({ id: model, model, ...paused })),
      ],
      {
        fallbacks: {
          kept: ['vain'],
          vain: ['whole', 'gone'],
          'as-whole': ['half'],
          whole: ['kept'],
        },
        aliases: { 'as-whole': { model: 'whole', hidden: false } },
      },
    );
    const served = (id: string) => isServed(index, { id, model: resolved(index, id) });
    expect(['half', 'as-whole'].map(served)).toEqual([true, true]);
    expect(['whole', 'kept', 'vain', 'wild/x'].map(served)).toEqual([false, false, false, false]);
  });
});

describe('fallbacks', () => {
  it('follow each target’s own fallbacks before the next target', () => {
    const router = routerRecord({ fallbacks: { a: ['b', 'c'], b: ['d'], d: ['a'] } });
    expect(fallbackChain(router, 'a', 'general')).toEqual(['b', 'd', 'c']);
  });

  it('leave out what was tried and stay within the bound', () => {
    const router = routerRecord({ fallbacks: { a: ['b', 'c', 'd', 'e'] }, maxFallbacks: 3 });
    expect(fallbackChain(router, 'a', 'general')).toEqual(['b', 'c', 'd']);
    expect(fallbackChain(router, 'a', 'general', new Set(['a', 'b']))).toEqual(['c', 'd']);
  });

  it('of the star and the default serve names without an entry', () => {
    const star = routerRecord({ fallbacks: { a: ['b'], '*': ['z'] } });
    expect(fallbackChain(star, 'other', 'general')).toEqual(['z']);
    const fallback = routerRecord({ fallbacks: { a: ['b'] }, defaultFallbacks: ['y'] });
    expect(fallbackChain(fallback, 'other', 'general')).toEqual(['y']);
    expect(fallbackChain(fallback, 'y', 'general')).toEqual([]);
  });

  it('for a full context come from their own list when there is one', () => {
    const router = routerRecord({
      fallbacks: { a: ['b'], c: ['d'] },
      contextWindowFallbacks: { a: ['a-long'] },
    });
    expect(fallbackChain(router, 'a', 'context_window')).toEqual(['a-long']);
    expect(fallbackChain(router, 'c', 'context_window')).toEqual([]);
    expect(fallbackChain(router, 'c', 'content_policy')).toEqual(['d']);
  });

  it('never repeat a model, whatever the table', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', '*');
    const table = fc.dictionary(name, fc.array(name, { maxLength: 4 }));
    fc.assert(
      fc.property(table, fc.integer({ min: 0, max: 10 }), (fallbacks, maxFallbacks) => {
        const chain = fallbackChain(routerRecord({ fallbacks, maxFallbacks }), 'a', 'general');
        expect(new Set(chain).size).toBe(chain.length);
        expect(chain).not.toContain('a');
        expect(chain.length).toBeLessThanOrEqual(maxFallbacks);
      }),
    );
  });
});
