import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  startGatewayProcess,
  type GatewayProcess,
} from '../../../smoke/clients/gateway-process.ts';
import { startSimulatedAzure } from '../../../smoke/clients/simulated-azure.ts';
import type { Simulator } from '../../../smoke/simulator/simulator.ts';
import { toolPath } from '../../tools.ts';
import { azureCliPython, refusedByAzureCli } from './azure-cli.ts';

const scripts = join(import.meta.dirname, '..');
let folder: string;
/** The scripts ask programs of the project; their compiled code is kept from one to the next. */
let compiled: string;
/** Says what the programs on `PATH` would do. */
let programs: Worker;
let port: number;

beforeAll(async () => {
  compiled = mkdtempSync(join(tmpdir(), 'aigateway-compiled-'));
  programs = new Worker(new URL('fake-cli.mjs', import.meta.url));
  [port] = (await once(programs, 'message')) as [number];
});
afterAll(async () => {
  await programs.terminate();
  rmSync(compiled, { recursive: true });
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aigateway-azure-scripts-'));
  mkdirSync(join(folder, 'bin'));
  for (const name of ['az', 'gh', 'terraform', 'cosign', 'git']) {
    copyFileSync(join(import.meta.dirname, 'fake-cli.sh'), join(folder, 'bin', name));
  }
});
afterEach(() => {
  // What the test has not asked for counts among those of all tests.
  calls();
  rmSync(folder, { recursive: true });
});

type Ran = { readonly code: number | null; readonly out: string; readonly told: string };

function run(
  script: string,
  args: readonly string[],
  input = '',
  variables: Readonly<Record<string, string>> = {},
): Ran {
  const path = [join(folder, 'bin'), dirname(process.execPath), '/usr/bin', '/bin'].join(':');
  const { status, stdout, stderr } = spawnSync('bash', [join(scripts, script), ...args], {
    encoding: 'utf8',
    input,
    env: {
      PATH: path,
      HOME: folder,
      TMPDIR: folder,
      FAKE_CLI_FOLDER: folder,
      FAKE_CLI_PORT: String(port),
      NODE_COMPILE_CACHE: compiled,
      JOB_POLL_SECONDS: '0',
      ...variables,
    },
  });
  return { code: status, out: stdout, told: stderr };
}

/** What was remembered of the calls so far, as if it had been there before. */
function given(state: Readonly<Record<string, unknown>>): void {
  writeFileSync(join(folder, 'state.json'), JSON.stringify(state));
}

function state(): Record<string, unknown> {
  const file = join(folder, 'state.json');
  return existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>)
    : {};
}

/** The arguments of each different call of `az` so far, as JSON: of all tests. */
const asked = new Set<string>();

/** Every call since the last time it was asked. */
function calls(): string[][] {
  const file = join(folder, 'calls');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  rmSync(file);
  const all = lines.map((line) => JSON.parse(line) as string[]);
  for (const [program, ...args] of all) if (program === 'az') asked.add(JSON.stringify(args));
  return all;
}

const changing = /\b(create|register|update|set|delete|regenerate|PUT|POST|DELETE)\b/;
const changes = () => calls().filter((call) => changing.test(call.join(' ')));

const dev = ['--env', 'dev'];
const repo = ['--repo', 'octo/gateway'];

describe('bootstrap-state.sh', () => {
  it('makes the store of state, without shared keys, versioned, and says where it is', () => {
    const { code, out, told } = run('bootstrap-state.sh', dev);
    expect([code, told]).toEqual([0, 'Subscription subscription-1, tenant tenant-1\n']);
    expect(out).toBe(
      "state: { resourceGroup: 'pvc-dev-aigateway-rgst-san', storageAccount: 'pvcdevaigatewaystsan', container: 'tfstate' }\n",
    );
    const made = changes().map((call) => call.join(' '));
    expect(made.filter((call) => call.includes('provider register'))).toHaveLength(13);
    const account = made.find((call) => call.includes('storage account create'));
    expect(account).toContain('--allow-shared-key-access false');
    expect(account).toContain('--allow-blob-public-access false');
    expect(made.at(-1)).toContain('container-rm create');
  });

  it('changes nothing when it runs again', () => {
    const first = run('bootstrap-state.sh', dev);
    changes();
    expect(run('bootstrap-state.sh', dev)).toEqual(first);
    expect(changes()).toEqual([]);
  });

  it('only prints with --dry-run what it would change', () => {
    const { code, out } = run('bootstrap-state.sh', [...dev, '--dry-run']);
    expect(code).toBe(0);
    expect(changes()).toEqual([]);
    const printed = out.split('\n').filter((line) => line.startsWith('az '));
    expect(printed.filter((line) => line.includes('provider register'))).toHaveLength(13);
    expect(printed.map((line) => line.split(' --')[0])).toEqual(
      expect.arrayContaining([
        'az group create',
        'az storage account create',
        'az storage account blob-service-properties update',
        'az storage container-rm create',
      ]),
    );
  });

  it('takes one storage account for several environments', () => {
    const { out } = run('bootstrap-state.sh', [
      ...dev,
      '--group',
      'central',
      '--account',
      'state1',
      '--container',
      'dev',
    ]);
    expect(out).toContain("storageAccount: 'state1', container: 'dev'");
    expect(Object.keys(state())).toContain('group central');
  });
});

describe('bootstrap-oidc.sh', () => {
  it.each(['uami', 'app'])(
    'makes three identities (%s), trusted for their own jobs alone',
    (kind) => {
      const { code, out } = run('bootstrap-oidc.sh', [...dev, ...repo, '--identity', kind]);
      expect(code).toBe(0);
      const of = (type: string) =>
        kind === 'uami'
          ? `pvc-dev-aigateway-${type}-san`
          : `client-of-pvc-dev-aigateway-${type}-san`;
      const trusted = Object.keys(state()).filter((key) => key.startsWith('trust '));
      expect(trusted.toSorted()).toEqual(
        [
          `trust ${of('idplan')} repo:octo/gateway:pull_request`,
          `trust ${of('idread')} repo:octo/gateway:ref:refs/heads/main`,
          `trust ${of('idgha')} repo:octo/gateway:environment:dev`,
        ].toSorted(),
      );
      const roles = Object.keys(state())
        .filter((key) => key.startsWith('grant|'))
        .map((key) => key.split('|'))
        .map(([, who = '', role]) => `${/id(plan|read|gha)/.exec(who)?.[1]}: ${role}`);
      expect(roles).toEqual([
        'plan: Reader',
        'plan: Storage Blob Data Reader',
        'read: Reader',
        'read: pvc-dev-aigateway-idread-san',
        'read: Storage Blob Data Reader',
        'gha: Contributor',
        'gha: Role Based Access Control Administrator',
        'gha: Storage Blob Data Contributor',
      ]);
      expect(out).toBe(
        'AZURE_TENANT_ID=tenant-1\nAZURE_SUBSCRIPTION_ID=subscription-1\nAZURE_CLIENT_ID=client-of-pvc-dev-aigateway-idgha-san\nAZURE_PLAN_CLIENT_ID=client-of-pvc-dev-aigateway-idplan-san\nAZURE_READ_CLIENT_ID=client-of-pvc-dev-aigateway-idread-san\n',
      );
    },
  );

  it('lets the applying identity assign the roles of the infrastructure and no other', () => {
    run('bootstrap-oidc.sh', [...dev, ...repo]);
    const call = changes().find((one) => one.includes('Role Based Access Control Administrator'));
    const condition = call?.[call.indexOf('--condition') + 1] ?? '';
    const script = readFileSync(join(scripts, 'bootstrap-oidc.sh'), 'utf8');
    const roles = (part: string) =>
      [...script.matchAll(new RegExp(`to_${part}=\\(\n([^)]*)\\)`, 'g'))].flatMap(
        ([, lines = '']) =>
          [...lines.matchAll(/(\S{36}) # (.+)/g)].map(([, id = '', name = '']) => ({ id, name })),
      );
    const folderOfSnapshots = join(scripts, '..', '..', 'cdktf', 'snapshots');
    const given = readdirSync(folderOfSnapshots).flatMap((file) =>
      [
        ...readFileSync(join(folderOfSnapshots, file), 'utf8').matchAll(
          /"role_definition_name": "([^"]+)"/g,
        ),
      ].map(([, name]) => name),
    );
    expect(new Set(roles('identities').map(({ name }) => name))).toEqual(new Set(given));
    const list = (part: string) =>
      roles(part)
        .map(({ id }) => id)
        .join(', ');
    const assigned = (which: string) =>
      `(${which}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${list('identities')}} AND ${which}[Microsoft.Authorization/roleAssignments:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {'ServicePrincipal'}) OR (${which}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${list('people')}} AND ${which}[Microsoft.Authorization/roleAssignments:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {'User', 'Group'})`;
    expect(condition).toBe(
      `((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR ${assigned('@Request')}) AND ((!(ActionMatches{'Microsoft.Authorization/roleAssignments/delete'})) OR ${assigned('@Resource')})`,
    );
  });

  it('puts the condition of a release before right', () => {
    run('bootstrap-oidc.sh', [...dev, ...repo]);
    const key = Object.keys(state()).find((one) => /^condition of .*Access Control/.test(one))!;
    const condition = state()[key];
    given({ ...state(), [key]: 'another' });
    changes();
    run('bootstrap-oidc.sh', [...dev, ...repo]);
    expect(changes().map((call) => call.slice(1, 4).join(' '))).toEqual([
      'role assignment delete',
      'role assignment create',
    ]);
    expect(state()[key]).toBe(condition);
  });

  it('lets the main branch read what a Reader may not, and nothing that changes or reads data', () => {
    const role = 'role pvc-dev-aigateway-idread-san';
    run('bootstrap-oidc.sh', [...dev, ...repo]);
    const made = state()[role] as { actions: string[]; assignableScopes: string[] };
    expect(made.assignableScopes).toEqual(['/subscriptions/subscription-1']);
    for (const action of made.actions) expect(action).toMatch(/\/(list\w+|readonlykeys)\/action$/);
    expect(made).not.toHaveProperty('dataActions');
    // One of a release before, which asked for less.
    given({ ...state(), [role]: { ...made, actions: made.actions.slice(1) } });
    run('bootstrap-oidc.sh', [...dev, ...repo]);
    expect(state()[role]).toMatchObject({ id: `id-of-${role.slice(5)}`, actions: made.actions });
  });

  it('takes the subject that GitHub names, with ids where the repository has those', () => {
    given({ 'subject prefix': 'repo:octo@1/gateway@2' });
    run('bootstrap-oidc.sh', [...dev, ...repo]);
    expect(Object.keys(state())).toContain(
      'trust pvc-dev-aigateway-idgha-san repo:octo@1/gateway@2:environment:dev',
    );
  });

  it.each(['uami', 'app'])('changes nothing when it runs again (%s)', (kind) => {
    const args = [...dev, ...repo, '--identity', kind];
    const first = run('bootstrap-oidc.sh', args);
    changes();
    expect(run('bootstrap-oidc.sh', args)).toEqual(first);
    expect(changes()).toEqual([]);
  });

  it.each(['uami', 'app'])('changes nothing with --dry-run (%s)', (kind) => {
    const { code, out } = run('bootstrap-oidc.sh', [
      ...dev,
      ...repo,
      '--identity',
      kind,
      '--dry-run',
    ]);
    expect(code).toBe(0);
    expect(changes()).toEqual([]);
    expect(out.match(/^az role assignment create/gm)).toHaveLength(8);
    expect(out.match(/^az role definition create/gm)).toHaveLength(1);
  });

  it('lets roles be given on what is in another subscription, by the same condition, and nothing else be done there', () => {
    const registry =
      '/subscriptions/other/resourceGroups/images/providers/Microsoft.ContainerRegistry/registries/images';
    run('bootstrap-oidc.sh', [...dev, ...repo]);
    changes();
    run('bootstrap-oidc.sh', [...dev, ...repo, '--also', registry]);
    const made = Object.keys(state()).filter((key) => key.endsWith(`|${registry}`));
    const administrator = 'pvc-dev-aigateway-idgha-san|Role Based Access Control Administrator|';
    expect(made.filter((key) => key.startsWith('grant|'))).toEqual([
      `grant|principal-of-pvc-dev-aigateway-idread-san|Reader|${registry}`,
      `grant|principal-of-${administrator}${registry}`,
    ]);
    const condition = `condition of grant|principal-of-${administrator}`;
    expect(state()[condition + registry]).toBe(
      state()[`${condition}/subscriptions/subscription-1`],
    );
    expect(changes()).toHaveLength(2);
    expect(run('bootstrap-oidc.sh', [...dev, ...repo, '--also', 'images']).code).toBe(1);
  });

  it('needs a repository', () => {
    expect(run('bootstrap-oidc.sh', dev)).toMatchObject({
      code: 1,
      told: expect.stringContaining('--repo is needed'),
    });
  });
});

describe('bootstrap-environment.sh', () => {
  const staging = ['--env', 'staging', ...repo];
  const variables = 'AZURE_TENANT_ID=tenant-1\nAZURE_CLIENT_ID=client-1\n';

  it('makes who must approve, the branch and the variables, once', () => {
    const args = [...staging, '--reviewer', 'octo/operators'];
    expect(run('bootstrap-environment.sh', args, variables)).toMatchObject({ code: 0, told: '' });
    const made = changes().map((call) => call.join(' '));
    expect(made[0]).toContain('reviewers[][type]=Team -F reviewers[][id]=22');
    expect(made[0]).toContain('prevent_self_review=false');
    expect(state()).toMatchObject({
      branches: ['1 main'],
      variables: [
        'CLIENT=pvc',
        'STAGING_AZURE_TENANT_ID=tenant-1',
        'STAGING_AZURE_CLIENT_ID=client-1',
      ],
    });
    run('bootstrap-environment.sh', args, variables);
    expect(changes()).toEqual([]);
  });

  it('lets nobody approve a change of their own for prod', () => {
    run('bootstrap-environment.sh', ['--env', 'prod', ...repo, '--reviewer', 'hubot'], variables);
    expect(changes()[0]?.join(' ')).toContain('reviewers[][id]=11 -F prevent_self_review=true');
  });

  it('puts right what somebody has changed by hand', () => {
    const args = ['--env', 'prod', ...repo, '--reviewer', 'hubot'];
    run('bootstrap-environment.sh', args, variables);
    const right = state();
    for (const wrong of ['there 11 false true', 'there 11 true false', 'there 12 true true']) {
      given({ ...right, environment: wrong });
      changes();
      run('bootstrap-environment.sh', args, variables);
      expect(changes()).toHaveLength(1);
      expect(state()).toEqual(right);
    }
    given({ ...right, branches: ['7 *', '1 main', '8 feature/*'] });
    run('bootstrap-environment.sh', args, variables);
    expect(state()).toEqual(right);
  });

  it('needs a reviewer for all but dev', () => {
    expect(run('bootstrap-environment.sh', staging, variables).told).toContain(
      '--reviewer is needed',
    );
    expect(calls()).toEqual([]);
    expect(run('bootstrap-environment.sh', [...dev, ...repo], variables).code).toBe(0);
  });

  it('does not repeat what is no variable of ours', () => {
    const { code, told } = run(
      'bootstrap-environment.sh',
      [...dev, ...repo],
      'KEY=a secret value\n',
    );
    expect(code).toBe(1);
    expect(told).toContain('KEY');
    expect(told).not.toContain('secret value');
  });
});

describe('rotate.sh', () => {
  const upstream = [...dev, '--secret', 'azure-openai-api-key', '--group', 'g', '--account', 'a'];
  const inVault = (name: string) => state()[`secret ${name}`];

  it('puts the upstream key that is not in use in force, made anew, each in turn', () => {
    given({ 'secret azure-openai-api-key': 'first-key1' });
    expect(run('rotate.sh', upstream).code).toBe(0);
    expect(inVault('azure-openai-api-key')).toBe('new-key2');
    expect(changes().flat()).not.toContain('key1');
    run('rotate.sh', upstream);
    expect(inVault('azure-openai-api-key')).toBe('new-key1');
  });

  const waitFor = (secret: string) =>
    given({ ...state(), [`updated ${secret}`]: '2026-01-01T00:00:00+00:00' });

  it('announces a signing secret to every process before one signs with it, and keeps the one before', () => {
    const rotate = () => run('rotate.sh', [...dev, '--secret', 'aigateway-secret']);
    for (const round of ['first', 'second']) {
      if (round === 'first') given({ 'secret aigateway-secret': 'old' });
      const before = inVault('aigateway-secret');
      expect(rotate().code).toBe(0);
      const announced = inVault('aigateway-secret-previous');
      expect(announced).toMatch(/^[0-9a-f]{64}$/);
      expect(inVault('aigateway-secret')).toBe(before);
      changes();
      expect(rotate()).toMatchObject({ code: 1, told: expect.stringContaining('in 45 minutes') });
      expect(changes()).toEqual([]);
      waitFor('aigateway-secret-previous');
      expect(rotate().code).toBe(0);
      expect(inVault('aigateway-secret')).toBe(announced);
      expect(inVault('aigateway-secret-previous')).toBe(before);
    }
  });

  it('makes both signing secrets where there is none: apps name both', () => {
    run('rotate.sh', [...dev, '--secret', 'aigateway-secret']);
    expect(inVault('aigateway-secret')).toMatch(/^[0-9a-f]{64}$/);
    expect(inVault('aigateway-secret-previous')).toBe(inVault('aigateway-secret'));
  });

  it('gives all regions the same', () => {
    run('rotate.sh', ['--client', 'contoso', '--env', 'prod', '--secret', 'master-key']);
    const vaults = changes().map((call) => call[call.indexOf('--vault-name') + 1]);
    expect(vaults).toEqual(['pvc-prd-contosogw-kv-weu', 'pvc-prd-contosogw-kv-neu']);
  });

  it('puts one in force at once where the one before has leaked, which then counts no more', () => {
    given({ 'secret aigateway-secret': 'leaked', 'secret aigateway-secret-previous': 'older' });
    const at = ['--announce', 'no'];
    expect(run('rotate.sh', [...dev, '--secret', 'aigateway-secret', ...at]).code).toBe(0);
    expect(inVault('aigateway-secret')).toMatch(/^[0-9a-f]{64}$/);
    expect(inVault('aigateway-secret-previous')).toBe(inVault('aigateway-secret'));
    // The store has still to be opened.
    given({ 'secret salt-key': 'leaked', 'secret salt-key-previous': 'older' });
    expect(run('rotate.sh', [...dev, '--secret', 'salt-key', ...at]).code).toBe(0);
    expect(inVault('salt-key')).toMatch(/^[0-9a-f]{64}$/);
    expect(inVault('salt-key-previous')).toBe('leaked older');
  });

  it('keeps every salt key before until the store is sealed anew', () => {
    const rotate = (secret = 'salt-key') => run('rotate.sh', [...dev, '--secret', secret]);
    const words = () => String(inVault('salt-key-previous')).split(' ');
    expect(rotate().code).toBe(0);
    const first = inVault('salt-key');
    expect(words()).toEqual([first]);
    const known = new Set([first]);
    for (let round = 0; round < 2; round += 1) {
      expect(rotate().code).toBe(0);
      const [announced, ...others] = words();
      expect(announced).toMatch(/^[0-9a-f]{64}$/);
      // Whichever of the two a process has got, it opens what all others seal.
      expect(new Set(others)).toEqual(known);
      waitFor('salt-key-previous');
      expect(rotate().code).toBe(0);
      expect(inVault('salt-key')).toBe(announced);
      expect(new Set(words())).toEqual(known);
      known.add(announced);
    }
    expect(rotate('salt-key-previous').code).toBe(1);
    waitFor('salt-key');
    expect(rotate('salt-key-previous').code).toBe(0);
    expect(words()).toEqual([inVault('salt-key')]);
  });

  it.each(['salt-key', 'aigateway-secret', 'azure-openai-api-key'])(
    'leaves %s as it is where the vault does not say whether it is there',
    (secret) => {
      given({ 'vault does not answer': true });
      const args = secret === 'azure-openai-api-key' ? upstream : [...dev, '--secret', secret];
      expect(run('rotate.sh', args)).toMatchObject({
        code: 1,
        told: expect.stringContaining('ForbiddenByConnection'),
      });
      expect(changes()).toEqual([]);
    },
  );

  it.each([
    'proxy-api-key',
    'master-key',
    'aigateway-secret',
    'azure-openai-api-key',
    'salt-key',
    'salt-key-previous',
  ])('never shows a value of %s', (secret) => {
    given({
      [`secret ${secret}`]: 'first-key1',
      'secret salt-key': 'first-key1',
      'updated salt-key': '2026-01-01T00:00:00+00:00',
    });
    const args = secret === 'azure-openai-api-key' ? upstream : [...dev, '--secret', secret];
    const { out, told } = run('rotate.sh', args);
    const values = Object.entries(state()).flatMap(([key, value]) =>
      /^(secret|key) /.test(key) ? [String(value)] : [],
    );
    expect(values.length).toBeGreaterThan(0);
    const shown = out + told + JSON.stringify(calls());
    for (const value of values) expect(shown).not.toContain(value);
    // Nor does it leave one behind on the disk.
    expect(readdirSync(folder).toSorted()).toEqual(['bin', 'state.json']);
  });

  it('changes nothing with --dry-run', () => {
    given({ 'secret azure-openai-api-key': 'first-key1' });
    expect(run('rotate.sh', [...upstream, '--dry-run']).out).toContain('keys regenerate');
    expect(changes()).toEqual([]);
  });
});

describe('teardown.sh', () => {
  const confirmed = [...dev, '--confirm', 'pvc-dev'];

  it('takes back what the others made', () => {
    run('bootstrap-state.sh', dev);
    run('bootstrap-oidc.sh', [...dev, ...repo]);
    expect(run('teardown.sh', confirmed).code).toBe(0);
    const left = Object.keys(state()).filter((key) => /^(identity|grant|role|container)/.test(key));
    expect(left).toEqual([]);
    changes();
    run('teardown.sh', confirmed);
    expect(changes()).toEqual([]);
  });

  it('takes back app registrations too', () => {
    run('bootstrap-oidc.sh', [...dev, ...repo, '--identity', 'app']);
    run('teardown.sh', [...confirmed, '--identity', 'app']);
    expect(Object.keys(state()).filter((key) => /^(app|grant|role)/.test(key))).toEqual([]);
  });

  it('refuses prod, a missing confirmation, and an environment that is still there', () => {
    expect(run('teardown.sh', ['--env', 'prod', '--confirm', 'pvc-prod']).told).toContain('prod');
    expect(run('teardown.sh', dev).told).toContain('--confirm pvc-dev is needed');
    given({ 'left behind': 'pvc-dev-aigateway-rg-san' });
    expect(run('teardown.sh', confirmed).told).toContain('pvc-dev-aigateway-rg-san');
    expect(changes()).toEqual([]);
  });
});

describe('traffic.sh', () => {
  const to = (where: string) => run('traffic.sh', [...dev, '--to', where]);
  const app = 'pvc-dev-aigateway-ca-san';
  const key = `traffic ${app}`;
  const shares = (of = app) =>
    (state()[`traffic ${of}`] as { revision: string; weight?: number; label?: string }[]).map(
      ({ revision, weight = 0, label = '' }) => `${revision} ${weight} ${label}`.trim(),
    );
  /** Terraform makes a revision, which gets no call. */
  const apply = (revision: string) =>
    given({
      ...state(),
      [key]: [...(state()[key] as object[]), { revision, image: `${revision}-image`, weight: 0 }],
    });

  it('keeps the calls where they are, tries the new revision under its own address, and shifts step by step', () => {
    given({ [key]: [{ revision: 'one', image: 'one-image', weight: 100, latest: true }] });
    expect(to('present').code).toBe(0);
    expect(shares()).toEqual(['one 100 blue']);
    apply('two');
    expect(to('green').out).toBe(
      `southafricanorth https://${app}.sea.example https://${app}---green.sea.example\n`,
    );
    expect(shares()).toEqual(['one 100 blue', 'two 0 green']);
    to('10');
    expect(shares()).toEqual(['one 90 blue', 'two 10 green']);
    to('50');
    expect(shares()).toEqual(['one 50 blue', 'two 50 green']);
    to('100');
    expect(shares()).toEqual(['one 0 blue', 'two 100 green']);
    expect(to('image').out).toBe('two-image\n');
    to('present');
    expect(shares()).toEqual(['one 0', 'two 100 blue']);
  });

  it('stops the revision before when the next deployment begins, not sooner, and each once', () => {
    given({ [key]: [{ revision: 'one', weight: 100 }] });
    to('present');
    apply('two');
    to('green');
    to('100');
    const stopped = () => calls().filter((call) => call.includes('deactivate'));
    expect(stopped()).toEqual([]);
    to('present');
    expect(stopped().map((call) => call.at(-1))).toEqual(['one']);
    to('present');
    expect(stopped()).toEqual([]);
    // One that failed is there when the same is deployed again.
    apply('three');
    to('back');
    to('present');
    expect(stopped()).toEqual([]);
  });

  it.each(['0', '10', '50', '100'])(
    'gives all calls back to the revision before after %s percent',
    (percent) => {
      given({ [key]: [{ revision: 'one', weight: 100 }] });
      to('present');
      apply('two');
      to('green');
      to(percent);
      expect(to('back').code).toBe(0);
      expect(shares()).toEqual(['one 100 blue', 'two 0 green']);
    },
  );

  it('has nothing to shift where no new revision was made', () => {
    given({ [key]: [{ revision: 'one', weight: 100 }] });
    to('present');
    expect(to('green').out).toBe(
      `southafricanorth https://${app}.sea.example https://${app}.sea.example\n`,
    );
    to('10');
    expect(shares()).toEqual(['one 100 blue']);
  });

  it('has nothing to keep before the first deployment, whose plan gets an image in form only', () => {
    expect(to('present')).toEqual({ code: 0, out: '', told: '' });
    expect(to('image').out).toMatch(/^none\.invalid\/none@sha256:0{64}\n$/);
    expect(changes()).toEqual([]);
  });

  it('does not begin while the calls are divided', () => {
    given({
      [key]: [
        { revision: 'one', weight: 50, label: 'blue' },
        { revision: 'two', weight: 50 },
      ],
    });
    expect(to('present')).toMatchObject({ code: 1, told: expect.stringContaining('--to back') });
  });

  describe('of several regions', () => {
    const toIn = (...args: string[]) =>
      run('traffic.sh', ['--client', 'contoso', '--env', 'prod', '--to', ...args]);
    const [weu, neu] = ['pvc-prod-contosogw-ca-weu', 'pvc-prod-contosogw-ca-neu'];
    const present = { revision: 'one', image: 'one-image', weight: 100, label: 'blue' };
    const newer = { revision: 'two', image: 'two-image', weight: 0 };
    const both = { [`traffic ${weu}`]: [present, newer], [`traffic ${neu}`]: [present, newer] };

    it('does in each what is to be done, and nothing in Front Door', () => {
      given(both);
      expect(toIn('green').out).toBe(
        `westeurope https://${weu}.sea.example https://${weu}---green.sea.example\n` +
          `northeurope https://${neu}.sea.example https://${neu}---green.sea.example\n`,
      );
      toIn('50');
      for (const region of [weu, neu])
        expect(shares(region)).toEqual(['one 50 blue', 'two 50 green']);
      expect(toIn('back').code).toBe(0);
      for (const region of [weu, neu])
        expect(shares(region)).toEqual(['one 100 blue', 'two 0 green']);
      expect(toIn('image').out).toBe('one-image\n');
    });

    it('goes back in one region where another has nothing to go back to, and says so', () => {
      given({ ...both, [`traffic ${weu}`]: [{ ...newer, weight: 100 }] });
      toIn('50', '--region', 'northeurope');
      const { code, told } = toIn('back');
      expect([code, told]).toEqual([
        1,
        'No revision is known to go back to in westeurope: az containerapp revision list shows them all.\n',
      ]);
      expect(shares(neu)).toEqual(['one 100 blue', 'two 0']);
      // A region that is only just being made has no calls.
      given({ [`traffic ${weu}`]: [present] });
      expect(toIn('back')).toEqual({ code: 0, out: '', told: '' });
    });

    it('does it in one alone, and knows which there are', () => {
      given(both);
      toIn('100', '--region', 'northeurope');
      expect(shares(weu)).toEqual(['one 100 blue', 'two 0']);
      expect(shares(neu)).toEqual(['one 0 blue', 'two 100']);
      expect(toIn('100', '--region', 'eastus').told).toContain('none of the environment');
    });
  });
});

describe('status.sh', () => {
  const app = 'pvc-dev-aigateway-ca-san';
  const revisions = [
    { revision: 'zero', stopped: true },
    { revision: 'one', weight: 90 },
    { revision: 'two', weight: 10, running: 0 },
  ];

  it('shows what has come through, the revisions that may get calls, and the log of the newest', () => {
    given({ [`traffic ${app}`]: revisions.slice(0, 2) });
    expect(run('status.sh', [...dev, '--lines', '50'])).toMatchObject({
      code: 0,
      out: [
        `southafricanorth ${app}: Succeeded`,
        '  one: 90 percent of the calls, Running, 1 replicas',
        'the last 50 lines of one',
        '',
      ].join('\n'),
    });
    expect(changes()).toEqual([]);
  });

  it('says so where nothing runs, and shows no more than was asked for', () => {
    given({ [`traffic ${app}`]: revisions });
    const { code, out, told } = run('status.sh', dev);
    expect([code, out.includes('two: 10 percent of the calls, ScaledToZero, 0')]).toEqual([
      0,
      true,
    ]);
    expect(told).toContain('Azure shows no log of two now');
    expect(run('status.sh', [...dev, '--lines', '0']).told).toBe('');
    given({});
    expect(run('status.sh', dev).out).toBe(`southafricanorth ${app}: not there\n`);
    expect(run('status.sh', [...dev, '--lines', '301']).code).toBe(1);
  });
});

describe('plan.sh and apply.sh', () => {
  const prod = ['--client', 'contoso', '--env', 'prod'];
  const plan = (...args: string[]) =>
    run('plan.sh', [...prod, '--plans', join(folder, 'plans'), ...args]);
  const apply = (of: string) =>
    run('apply.sh', [...prod, '--plans', join(folder, 'plans'), '--of', of]);
  const there = (...regions: string[]) =>
    Object.fromEntries(
      regions.map((code) => [`traffic pvc-prod-contosogw-ca-${code}`, [{ revision: 'one' }]]),
    );
  const change = (...actions: string[]) => ({
    resource_changes: [{ address: 'azurerm_a.b', change: { actions, before: null, after: null } }],
  });
  beforeEach(() => mkdirSync(join(folder, 'plans')));

  it('plan all stacks of an environment, each by its own state', () => {
    given({ ...there('weu', 'neu'), 'changes of contoso-prod-neu': change('create') });
    const { code, out, told } = plan('--changed', '2');
    expect(code).toBe(2);
    expect(out.match(/^## .*/gm)).toEqual([
      '## contoso-prod: 0 changes',
      '## contoso-prod-neu: 1 change',
      '## contoso-prod-frontdoor: 0 changes',
    ]);
    // What Terraform says may hold values, and is not what is approved.
    expect(told).toContain('Terraform will perform');
    expect(out).not.toContain('Terraform will perform');
    given(there('weu', 'neu'));
    expect(plan('--changed', '2').code).toBe(0);
  });

  it('find a folder that is named from where they are called', () => {
    given(there('weu', 'neu'));
    const { code, told } = run('plan.sh', [...prod, '--plans', 'nowhere']);
    expect([code, told]).toEqual([1, expect.stringContaining('nowhere')]);
    expect(calls()).toEqual([]);
    const plans = relative(process.cwd(), join(folder, 'plans'));
    expect(run('plan.sh', [...prod, '--plans', plans]).code).toBe(0);
    expect(readdirSync(plans)).toHaveLength(3);
  });

  it('ask nothing anew for those who may only look', () => {
    given(there('weu', 'neu'));
    const options = (...args: string[]) => {
      calls();
      plan(...args);
      return calls()
        .filter(([program, , command]) => program === 'terraform' && command === 'plan')
        .map((call) => call.includes('-refresh=false'));
    };
    expect(options('--read', 'state')).toEqual([true, true, true]);
    expect(options()).toEqual([false, false, false]);
  });

  it('plan with the image that was applied last, unless another is to come', () => {
    const image = (digit: string) => `example/gateway@sha256:${digit.repeat(64)}`;
    given({
      ...there('weu', 'neu'),
      'image of contoso-prod': image('a'),
      'image of contoso-prod-neu': image('b'),
      // It has outputs, and no image among them.
      'image of contoso-prod-frontdoor': 'another',
    });
    plan();
    const planned = () =>
      Object.fromEntries(
        Object.entries(state()).flatMap(([key, value]) =>
          key.startsWith('planned image of ')
            ? [[key.slice('planned image of '.length), value]]
            : [],
        ),
      );
    expect(planned()).toEqual({
      'contoso-prod': image('a'),
      'contoso-prod-neu': image('b'),
      'contoso-prod-frontdoor': `none.invalid/none@sha256:${'0'.repeat(64)}`,
    });
    given(there('weu', 'neu'));
    plan();
    expect(new Set(Object.values(planned()))).toEqual(
      new Set([`none.invalid/none@sha256:${'0'.repeat(64)}`]),
    );
    run('plan.sh', [...prod, '--plans', join(folder, 'plans')], '', { TF_VAR_image: image('c') });
    expect(new Set(Object.values(planned()))).toEqual(new Set([image('c')]));
  });

  it('take what was never applied, or was taken down, for no change where that is asked for', () => {
    given({ 'changes of contoso-prod': change('create') });
    const only = ['--only', 'applied', '--changed', '2'];
    expect(plan(...only)).toMatchObject({ code: 0, out: '' });
    expect(plan('--changed', '2').code).toBe(2);
    given({
      ...there('weu'),
      'image of contoso-prod': 'i',
      'changes of contoso-prod': change('update'),
    });
    const { code, out } = plan(...only);
    expect([code, out.match(/^## .*/gm)]).toEqual([2, ['## contoso-prod: 1 change']]);
    expect(plan('--only', 'some').code).toBe(1);
  });

  it('apply the stacks in their order, Front Door last, each as it was planned', () => {
    given(there('weu', 'neu'));
    plan();
    calls();
    expect(apply('regions').out).toBe(
      'https://contoso-prod.example\nhttps://contoso-prod-neu.example\n',
    );
    expect(state()['applied']).toEqual(['contoso-prod', 'contoso-prod-neu']);
    expect(apply('front-door').out).toBe('https://contoso-prod-frontdoor.example\n');
    expect(state()['applied']).toEqual([
      'contoso-prod',
      'contoso-prod-neu',
      'contoso-prod-frontdoor',
    ]);
    expect(
      calls().some(([program, , command]) => program === 'terraform' && command === 'plan'),
    ).toBe(false);
  });

  it('plan what needs another stack once that is there, and lose nothing by it', () => {
    expect(plan('--changed', '2').code).toBe(2);
    expect(plan().out.match(/^## .*/gm)).toEqual([
      '## contoso-prod: 0 changes',
      '## contoso-prod-neu: made once contoso-prod is there',
      '## contoso-prod-frontdoor: made once contoso-prod is there',
    ]);
    expect(readdirSync(join(folder, 'plans'))).toEqual(['contoso-prod']);
    given({
      'changes of contoso-prod-neu': change('create'),
      'changes of contoso-prod-frontdoor': change('delete'),
    });
    expect(apply('regions').code).toBe(0);
    expect(state()['applied']).toEqual(['contoso-prod', 'contoso-prod-neu']);
    expect(apply('front-door')).toMatchObject({
      code: 1,
      told: expect.stringContaining('nobody has approved'),
    });
    expect(state()['applied']).toEqual(['contoso-prod', 'contoso-prod-neu']);
  });
});

describe('environments.sh and targets.sh', () => {
  it('say which environments a client has, in the order of a merge', () => {
    expect(run('environments.sh', ['pvc']).out).toBe('["dev","staging","prod"]\n');
    expect(run('environments.sh', ['contoso']).out).toBe('["dev","prod"]\n');
    expect(run('environments.sh', ['nobody'])).toMatchObject({
      code: 1,
      told: expect.stringContaining('"nobody"'),
    });
  });

  it('let a merge go nowhere once a later one has passed its checks', () => {
    const targets = (runs: object) => {
      given({ runs });
      return run('targets.sh', ['contoso', 'octo/gateway', '7']);
    };
    expect(targets({ 6: true, 7: false, 8: false }).out).toBe('["dev","prod"]\n');
    expect(targets({})).toEqual({ code: 0, out: '["dev","prod"]\n', told: '' });
    expect(targets({ 8: false, 9: true })).toMatchObject({
      code: 0,
      out: '[]\n',
      told: expect.stringContaining('octo/gateway/actions/runs/9'),
    });
  });

  it.each(['environments.sh', 'targets.sh', 'drift-issue.sh'])(
    '%s says how it is used',
    (script) => {
      expect(run(script, ['--help'])).toMatchObject({
        code: 0,
        out: expect.stringContaining(`scripts/azure/${script}`),
      });
      expect(run(script, []).code).toBe(1);
    },
  );
});

describe('check-image.sh', () => {
  const [first, second, third] = ['1', '2', '3'].map((digit) => digit.repeat(40));
  const imageOf = (commit = '') => `ghcr.io/octo/gateway@sha256:${commit.slice(0, 24)}`;
  const key = 'traffic pvc-dev-aigateway-ca-san';
  const runs = (image: string) => ({ [key]: [{ revision: 'one', image, weight: 100 }] });
  const known = {
    history: [first, second, third],
    signed: Object.fromEntries([first, second, third].map((commit) => [imageOf(commit), commit])),
  };
  const check = (commit = second, image = imageOf(commit)) =>
    run('check-image.sh', [
      ...dev,
      '--image',
      image,
      '--commit',
      commit ?? '',
      '--repo',
      'Octo/Gateway',
    ]);

  it('lets through what the main branch has made of the commit, where nothing or something older runs', () => {
    given(known);
    expect(check()).toEqual({ code: 0, out: '', told: '' });
    const [verify] = calls().filter(([program]) => program === 'cosign');
    expect(verify?.join(' ')).toContain(
      '--certificate-oidc-issuer https://token.actions.githubusercontent.com --certificate-identity https://github.com/Octo/Gateway/.github/workflows/deploy.yml@refs/heads/main',
    );
    for (const running of [first, second]) {
      given({ ...known, ...runs(imageOf(running)) });
      expect(check()).toEqual({ code: 0, out: '', told: '' });
    }
    expect(changes()).toEqual([]);
  });

  it('refuses an image that nobody has signed, or that is of another commit', () => {
    given(known);
    for (const image of ['ghcr.io/octo/gateway@sha256:another', imageOf(third)])
      expect(check(second, image)).toMatchObject({
        code: 1,
        told: expect.stringContaining('No signature says'),
      });
  });

  it('refuses what is older than what runs, and what is of another history', () => {
    given({ ...known, ...runs(imageOf(third)) });
    expect(check()).toMatchObject({ code: 1, told: expect.stringContaining(`runs ${third}`) });
    given({ ...known, ...runs(imageOf(first)), history: [second, third] });
    expect(check()).toMatchObject({ code: 1, told: expect.stringContaining(`runs ${first}`) });
  });

  it('does not guess how old an image of the pipeline is, and says where one was brought by hand', () => {
    given({ ...known, ...runs('ghcr.io/octo/gateway@sha256:unsigned') });
    expect(check()).toMatchObject({ code: 1, told: expect.stringContaining('of which commit') });
    given({ ...known, ...runs('images.azurecr.io/gateway@sha256:1') });
    expect(check()).toMatchObject({ code: 0, told: expect.stringContaining('by hand') });
  });
});

describe('migrate.sh', () => {
  const migrate = (...statuses: string[]) => {
    given({ job: ['started', ...statuses] });
    return run('migrate.sh', [...dev, '--image', 'the-new-one']);
  };

  it('waits until the job has succeeded', () => {
    expect(migrate('Running', 'Succeeded')).toMatchObject({
      code: 0,
      told: 'execution-1 has succeeded\n',
    });
    expect(state()).toEqual({ job: [], 'image of the job': 'the-new-one' });
  });

  it('says where the log of a failed one is', () => {
    const { code, told } = migrate('Failed');
    expect(code).toBe(1);
    expect(told).toMatch(
      /az extension add .*: az containerapp job logs show .* --container migration$/m,
    );
  });

  it('has nothing to do where there is no job', () => {
    expect(run('migrate.sh', [...dev, '--image', 'the-new-one'])).toEqual({
      code: 0,
      out: '',
      told: '',
    });
  });
});

describe('reseal.sh', () => {
  const reseal = (changed: string, ...job: string[]) => {
    given({ job, 'secret salt-key': 'salt', 'updated salt-key': changed });
    return run('reseal.sh', dev);
  };

  it('waits until the job has succeeded, and says what may go then', () => {
    const { code, told } = reseal('2026-01-01T00:00:00+00:00', 'started', 'Succeeded');
    expect(code).toBe(0);
    expect(told).toContain('--secret salt-key-previous');
    expect(calls().find((call) => call.includes('start'))).toContain('pvc-dev-aigateway-cajrs-san');
  });

  it('takes nothing for granted where the job has failed, or a process may still seal with the key before', () => {
    const failed = reseal('2026-01-01T00:00:00+00:00', 'started', 'Failed');
    expect(failed.code).toBe(1);
    expect(failed.told).toMatch(/logs show .* --container reseal\n$/);
    calls();
    expect(reseal(new Date().toISOString(), 'started', 'Succeeded')).toMatchObject({
      code: 1,
      told: expect.stringContaining('may not know it yet'),
    });
    expect(calls().some((call) => call.includes('start'))).toBe(false);
  });
});

describe('drift-issue.sh', () => {
  it('keeps one issue: made, brought up to date, closed', () => {
    const say = (drift: boolean) =>
      run('drift-issue.sh', ['dev has drifted', String(drift), 'report.md']);
    expect(say(false).code).toBe(0);
    expect(state()).toEqual({});
    say(true);
    expect(state()).toEqual({ issue: '7' });
    say(true);
    expect(state()).toEqual({ issue: '7', edited: '7' });
    say(false);
    expect(state()['issue']).toBeUndefined();
    // Two runs at once have made one each.
    given({ issue: '7\n8' });
    say(true);
    expect(state()).toEqual({ issue: '7\n8', edited: '7' });
    say(false);
    expect(state()['issue']).toBeUndefined();
  });
});

describe('smoke-key.sh', () => {
  it('prints the one key that was asked for', () => {
    given({ 'secret smoke-key': 'sk-1', 'secret smoke-limited-key': 'sk-2' });
    expect(run('smoke-key.sh', [...dev, '--key', 'SMOKE_KEY']).out).toBe('sk-1\n');
    expect(run('smoke-key.sh', [...dev, '--key', 'SMOKE_LIMITED_KEY']).out).toBe('sk-2\n');
    expect(run('smoke-key.sh', [...dev, '--key', 'master-key']).code).toBe(1);
    given({ 'secret smoke-key': 'sk-1' });
    expect(run('smoke-key.sh', [...dev, '--key', 'SMOKE_LIMITED_KEY'])).toEqual({
      code: 0,
      out: '',
      told: '',
    });
  });

  it('prints that of callers where there is one key for all', () => {
    given({ 'secret proxy-api-key': 'sk-0' });
    expect(run('smoke-key.sh', [...dev, '--key', 'SMOKE_KEY'])).toEqual({
      code: 0,
      out: 'sk-0\n',
      told: '',
    });
  });

  it('says so where the vault does not answer', () => {
    given({ 'vault does not answer': true });
    expect(run('smoke-key.sh', [...dev, '--key', 'SMOKE_KEY'])).toMatchObject({
      code: 1,
      out: '',
      told: expect.stringContaining('ForbiddenByConnection'),
    });
  });
});

describe('make-smoke-keys.sh', () => {
  const masterKey = 'sk-smoke-master-1234567890abcdef';
  const vault = {
    'secret master-key': masterKey,
    'secret smoke-key': 'sk-1234567890abcdef1234567890abcdef',
    'secret smoke-limited-key': 'sk-fedcba0987654321fedcba0987654321',
  };
  let simulator: Simulator;
  let gateway: GatewayProcess;
  let data: string;
  beforeAll(async () => {
    data = mkdtempSync(join(tmpdir(), 'aigateway-smoke-keys-'));
    simulator = await startSimulatedAzure();
    const others = { key: 'sk-a-1234567890abcdef', slowKey: 'sk-b-1234567890abcdef' };
    gateway = await startGatewayProcess({
      simulator,
      folder: data,
      ...others,
      masterKey,
      role: 'all',
    });
  });
  afterAll(async () => {
    await gateway.stop();
    await simulator.close();
    rmSync(data, { recursive: true });
  });
  const make = (...more: string[]) =>
    run('make-smoke-keys.sh', [...dev, '--url', gateway.url, ...more]);
  const manage = async (path: string) => {
    const headers = { authorization: `Bearer ${masterKey}` };
    return (await (await fetch(`${gateway.url}${path}`, { headers })).json()) as {
      keys: { key_alias: string; rpm_limit: number | null }[];
    };
  };

  it('makes both in a gateway that has neither, once, and shows neither', async () => {
    given(vault);
    const dry = make('--dry-run');
    expect(dry.out.match(/^curl .*\/key\/generate/gm)).toHaveLength(2);
    expect((await manage('/key/list?return_full_object=true')).keys).toEqual([]);

    const first = make();
    expect([first.code, first.out]).toEqual([0, '']);
    expect(first.told).toMatch(
      /^smoke-key-[0-9a-f]{8} was made\nsmoke-limited-key-[0-9a-f]{8} was made\n$/,
    );
    expect(make()).toEqual({ code: 0, out: '', told: '' });
    const { keys } = await manage('/key/list?return_full_object=true');
    expect(
      new Map(keys.map(({ key_alias: alias, rpm_limit: limit }) => [alias.slice(0, -9), limit])),
    ).toEqual(
      new Map([
        ['smoke-key', null],
        ['smoke-limited-key', 3],
      ]),
    );
    expect(keys).toHaveLength(2);
    const shown = dry.out + dry.told + first.told + JSON.stringify(calls());
    for (const value of Object.values(vault)) expect(shown).not.toContain(value);
    expect(readdirSync(folder).toSorted()).toEqual(['bin', 'state.json']);
  });

  it('has nothing to do where there is one key for all', () => {
    given({ 'secret proxy-api-key': 'sk-0' });
    expect(make()).toEqual({ code: 0, out: '', told: '' });
  });

  it('says what is missing, and where no key can be made', () => {
    given({ 'secret master-key': masterKey });
    expect(make().told).toContain('rotate.sh --secret smoke-key');
    given({
      ...vault,
      'secret master-key': 'sk-another',
      'secret smoke-key': 'sk-3'.padEnd(35, '0'),
    });
    expect(make()).toMatchObject({
      code: 1,
      told: expect.stringContaining('401 to /key/generate'),
    });
  });
});

describe('every script', () => {
  /** They have arguments of another kind, or are no program. */
  const others = ['common.sh', 'drift-issue.sh', 'environments.sh', 'targets.sh'];
  const all = readdirSync(scripts).filter((name) => name.endsWith('.sh') && !others.includes(name));

  it.each(all)('%s says how it is used, and refuses what it does not know', (script) => {
    expect(run(script, ['--help'])).toMatchObject({
      code: 0,
      out: expect.stringContaining(`scripts/azure/${script}`),
    });
    expect(run(script, [...dev, '--no-such-option', 'x'])).toMatchObject({
      code: 1,
      told: expect.stringContaining('--no-such-option'),
    });
    expect(run(script, []).code).toBe(1);
    expect(calls()).toEqual([]);
  });

  it('stops where Azure does not say whether a thing is there', () => {
    writeFileSync(
      join(folder, 'bin', 'az'),
      '#!/bin/sh\ncase "$*" in "account show"*) printf "s\\nt\\n";; "provider list"*) ;; *) echo denied >&2; exit 1;; esac\n',
    );
    const { code, told } = run('bootstrap-state.sh', dev);
    expect(code).toBe(1);
    expect(told).toContain('denied');
  });

  const shellcheck = toolPath('shellcheck');
  it.skipIf(shellcheck === undefined)(
    'is clean to shellcheck (npm run tools -- shellcheck)',
    () => {
      const { stdout, status } = spawnSync(
        shellcheck!,
        [
          '-x',
          '-P',
          'SCRIPTDIR',
          join('test', 'fake-cli.sh'),
          join('test', 'terraform', 'run.sh'),
          ...readdirSync(scripts).filter((name) => name.endsWith('.sh')),
        ],
        { cwd: scripts, encoding: 'utf8' },
      );
      expect(stdout).toBe('');
      expect(status).toBe(0);
    },
  );
});

// Last: the calls are those of the tests before.
describe.skipIf(azureCliPython === undefined)('Azure CLI (npm run tools -- az)', () => {
  it('takes every call that the scripts have made', () => {
    expect(asked.size).toBeGreaterThan(0);
    const given = [...asked].map((args) => JSON.parse(args) as string[]);
    expect(refusedByAzureCli(given)).toEqual([]);
  });
});
