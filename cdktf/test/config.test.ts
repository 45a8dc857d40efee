import { describe, expect, it } from 'vitest';
import { configuration, type ConfigurationInput } from '../src/config.ts';
import { least } from './small-stack.ts';

const separate: ConfigurationInput = {
  ...least,
  topology: 'separate',
  redis: { kind: 'managed' },
  store: { kind: 'cosmos' },
};

describe('configuration', () => {
  it('needs a client, an environment and models, and nothing else', () => {
    expect(configuration(least)).toMatchObject({
      prefix: 'pvc',
      project: 'aigateway',
      location: 'southafricanorth',
      topology: 'proxy',
      proxy: { minReplicas: 1, maxReplicas: 10, cpu: '0.5' },
    });
  });

  it.each<[string, object, RegExp]>([
    ['a key that is not known', { ...least, replicas: 3 }, /replicas/],
    ['one within a section', { ...least, proxy: { minReplica: 0 } }, /minReplica/],
    ['a region that has no code', { ...least, location: 'atlantis' }, /location: is no region/],
    ['what is no network', { ...least, proxy: { allowedIps: ['10.0.0.256/8'] } }, /allowedIps\.0/],
    ['an address that is none', { ...least, proxy: { allowedIps: ['office'] } }, /allowedIps\.0/],
    [
      'a list that lets all in',
      { ...least, proxy: { allowedIps: ['0.0.0.0/0'] } },
      /every address/,
    ],
    [
      'fewer replicas at most than at least',
      { ...least, proxy: { minReplicas: 11 } },
      /above maxRep/,
    ],
    ['a control plane without a store', { ...separate, store: undefined }, /needed by topology/],
    ['a control plane without Redis', { ...separate, redis: undefined }, /redis: is where/],
    [
      'a store that nobody uses',
      { ...least, store: { kind: 'cosmos' } },
      /store: is for a control/,
    ],
    ['both planes in several processes', { ...separate, topology: 'all' }, /maxReplicas 1/],
    ['subnets that overlap', { ...least, network: { endpoints: '10.60.1.0/24' } }, /overlaps/],
    ['a subnet outside', { ...least, network: { apps: '10.61.0.0/23' } }, /outside of 10\.60/],
    [
      'a subnet too small for apps',
      { ...least, network: { apps: '10.60.0.0/28' } },
      /smaller than/,
    ],
    [
      'a further region that could not reach the first',
      { ...separate, network: {}, furtherRegions: [{ location: 'westeurope' }] },
      /private endpoints/,
    ],
    [
      'a list at the apps that Front Door would be kept out by',
      { ...least, frontDoor: {}, proxy: { allowedIps: ['203.0.113.0/24'] } },
      /frontDoor\.allowedIps/,
    ],
    [
      'a budget that nobody is told of',
      { ...least, budget: { amount: 1, from: '2027-01-01' } },
      /contacts/,
    ],
    [
      'two new accounts in one region',
      { ...least, openai: [...least.openai, ...least.openai] },
      /two new accounts/,
    ],
  ])('refuses %s', (_, input, message) => {
    expect(() => configuration(input as ConfigurationInput)).toThrow(message);
  });

  it('says everything that is wrong at once', () => {
    const input = { ...least, location: 'atlantis', prefix: 'PVC' };
    expect(() => configuration(input)).toThrow(/prefix: .*\n.*location: /);
  });
});
