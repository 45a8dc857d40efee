import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameOf, resourceTypes, type NameParts, type ResourceType } from '../src/names.ts';
import { regionCodes } from '../src/regions.ts';

const types = Object.keys(resourceTypes) as ResourceType[];

function parts(more: Partial<NameParts> = {}): NameParts {
  return { prefix: 'pvc', environment: 'dev', project: 'aigateway', location: 'san', ...more };
}

/** What Azure takes as names, written down apart from the code: longest, shortest, alphabet. */
const azure: { readonly [type in ResourceType]: RegExp } = {
  rg: /^[a-z0-9-]{1,90}$/,
  rgst: /^[a-z0-9-]{1,90}$/,
  law: /^[a-z0-9][a-z0-9-]{2,61}[a-z0-9]$/,
  ai: /^[a-z0-9-]{1,260}$/,
  cae: /^[a-z][a-z0-9-]{0,58}[a-z0-9]$/,
  ca: /^(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]$/,
  caadm: /^(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]$/,
  caj: /^(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]$/,
  cajrs: /^(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]$/,
  kv: /^(?!.*--)[a-z][a-z0-9-]{1,22}[a-z0-9]$/,
  st: /^[a-z0-9]{3,24}$/,
  cr: /^[a-z0-9]{5,50}$/,
  amr: /^[a-z0-9][a-z0-9-]{0,58}[a-z0-9]$/,
  cosmos: /^[a-z0-9-]{3,44}$/,
  psql: /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/,
  id: /^[a-z0-9][a-z0-9-]{2,127}$/,
  idadm: /^[a-z0-9][a-z0-9-]{2,127}$/,
  idgha: /^[a-z0-9][a-z0-9-]{2,127}$/,
  idplan: /^[a-z0-9][a-z0-9-]{2,127}$/,
  idread: /^[a-z0-9][a-z0-9-]{2,127}$/,
  oai: /^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$/,
  vnet: /^[a-z0-9-]{2,64}$/,
  nsg: /^[a-z0-9-]{1,80}$/,
  pepkv: /^[a-z0-9-]{1,80}$/,
  pepdb: /^[a-z0-9-]{1,80}$/,
  pepamr: /^[a-z0-9-]{1,80}$/,
  pepoai: /^[a-z0-9-]{1,80}$/,
  afd: /^[a-z0-9-]{1,90}$/,
  fde: /^[a-z0-9-]{2,46}$/,
  waf: /^[a-z][a-z0-9]{0,127}$/,
  ag: /^[a-z0-9-]{1,260}$/,
  budget: /^[a-z0-9-]{1,63}$/,
};

const word = (longest: number) =>
  fc.stringMatching(new RegExp(`^[a-z][a-z0-9]{0,${longest - 1}}$`));

const anyParts = fc.record({
  prefix: word(6),
  environment: word(12),
  environmentCode: fc.stringMatching(/^[a-z][a-z0-9]{2}$/),
  project: word(40),
  location: fc.constantFrom(...Object.values(regionCodes).filter((code) => code.length === 3)),
  uniqueSuffix: fc.option(fc.stringMatching(/^[0-9a-f]{4}$/), { nil: undefined }),
});

describe('nameOf', () => {
  it.each([
    ['dev', 'pvc-dev-aigateway-kv-san', 'pvcdevaigatewaystsan', 'pvcdevaigatewaywafsan'],
    [
      'staging',
      'pvc-stg-aigateway-kv-san',
      'pvcstagingaigatewaystsan',
      'pvcstagingaigatewaywafsan',
    ],
    ['prod', 'pvc-prd-aigateway-kv-san', 'pvcprodaigatewaystsan', 'pvcprodaigatewaywafsan'],
  ])('shortens in %s what Azure does not take as the pattern is', (environment, kv, st, waf) => {
    const name = (type: ResourceType) => nameOf(type, parts({ environment }));
    expect([name('kv'), name('st'), name('waf')]).toEqual([kv, st, waf]);
  });

  it.each(['dev', 'staging', 'prod'])(
    'leaves every other name in %s as the pattern is',
    (environment) => {
      for (const type of types.filter((one) => !['kv', 'st', 'cr', 'waf'].includes(one))) {
        expect(nameOf(type, parts({ environment }))).toBe(
          `pvc-${environment}-aigateway-${type}-san`,
        );
      }
    },
  );

  it('shortens the project where nothing else helps, telling apart what was cut', () => {
    expect(nameOf('kv', parts({ location: 'eus2' }))).toBe('pvc-dev-aiga495e-kv-eus2');
    const longer = nameOf('kv', parts({ location: 'eus2', project: 'aigatewayb' }));
    expect(longer).toMatch(/^pvc-dev-aiga[0-9a-f]{4}-kv-eus2$/);
    expect(longer).not.toBe('pvc-dev-aiga495e-kv-eus2');
  });

  it('is taken by Azure, for whatever parts it is made of', () => {
    fc.assert(
      fc.property(anyParts, fc.constantFrom(...types), (some, type) => {
        expect(nameOf(type, some)).toMatch(azure[type]);
      }),
    );
  });

  it('is the same for the same parts, and another for each type', () => {
    fc.assert(
      fc.property(anyParts, (some) => {
        const names = types.map((type) => nameOf(type, some));
        expect(names).toEqual(types.map((type) => nameOf(type, { ...some })));
        expect(new Set(names).size).toBe(types.length);
      }),
    );
  });

  it('holds the pattern literally wherever that fits', () => {
    fc.assert(
      fc.property(anyParts, fc.constantFrom('rg', 'law', 'cae', 'vnet'), (some, type) => {
        const { prefix, environment, project, location } = some;
        const whole = [prefix, environment, project, type, location].join('-');
        fc.pre(whole.length <= resourceTypes[type].max);
        expect(nameOf(type, some)).toBe(whole);
      }),
    );
  });

  it('adds the suffix to names that can exist once in the world, and to no others', () => {
    const some = parts({ uniqueSuffix: '0a1b' });
    expect(nameOf('cosmos', some)).toBe('pvc-dev-aigateway0a1b-cosmos-san');
    expect(nameOf('rg', some)).toBe('pvc-dev-aigateway-rg-san');
  });

  it('says what is missing where no name can be made', () => {
    expect(() => nameOf('kv', parts({ environment: 'sandbox' }))).toThrow(/code of three letters/);
    expect(() => nameOf('kv', parts({ prefix: 'contosogroup' }))).toThrow(
      /leaves 0 for the project/,
    );
    expect(() => nameOf('rg', parts({ project: 'AI gateway' }))).toThrow(
      /cannot be part of a name/,
    );
  });
});

describe('the command', () => {
  const run = (...args: string[]) => {
    const file = join(import.meta.dirname, '..', 'src', 'names.ts');
    const { status, stdout, stderr } = spawnSync(process.execPath, [file, ...args], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  it('prints the name that the infrastructure has', () => {
    expect(run('--env', 'dev', '--type', 'st').stdout).toBe('pvcdevaigatewaystsan\n');
    expect(run('--env', 'dev', '--type', 'rg', '--location', 'westeurope').stdout).toBe(
      'pvc-dev-aigateway-rg-weu\n',
    );
    expect(run('--client', 'pvc', '--env', 'dev', '--type', 'kv', '--type', 'rg').stdout).toBe(
      'pvc-dev-aigateway-kv-san\npvc-dev-aigateway-rg-san\n',
    );
  });

  it('says which types there are', () => {
    const { status, stdout, stderr } = run('--env', 'dev', '--type', 'vm');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('--type is one of rg, ');
  });
});
