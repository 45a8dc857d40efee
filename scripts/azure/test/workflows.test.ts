import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { toolPath } from '../../tools.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const folder = join(root, '.github', 'workflows');

type Step = {
  readonly uses?: string;
  readonly run?: string;
  readonly if?: string;
  readonly with?: { readonly [name: string]: unknown };
  readonly env?: { readonly [name: string]: string };
};

type Concurrency = { readonly group: string; readonly 'cancel-in-progress': unknown };

type Job = {
  readonly needs?: string | readonly string[];
  readonly uses?: string;
  readonly if?: string;
  readonly outputs?: { readonly [name: string]: string };
  readonly strategy?: { readonly matrix: { readonly [name: string]: unknown } };
  readonly concurrency?: Concurrency;
  readonly environment?: string | { readonly name: string };
  readonly permissions?: { readonly [scope: string]: string };
  readonly 'timeout-minutes'?: number;
  readonly steps?: readonly Step[];
  readonly with?: { readonly [name: string]: string };
};

type Workflow = {
  readonly on: { readonly [event: string]: unknown };
  readonly permissions: object;
  readonly concurrency?: Concurrency;
  readonly jobs: { readonly [name: string]: Job };
};

const texts = Object.fromEntries(
  readdirSync(folder).map((file) => [
    file.replace(/\.yml$/, ''),
    readFileSync(join(folder, file), 'utf8'),
  ]),
);
const workflows = Object.fromEntries(
  Object.entries(texts).map(([name, text]) => [name, parse(text) as Workflow]),
);
const actions = ['stack', 'terraform'].map((name) =>
  readFileSync(join(root, '.github', 'actions', name, 'action.yml'), 'utf8'),
);
const jobs = Object.entries(workflows).flatMap(([name, workflow]) =>
  Object.entries(workflow.jobs).map(([id, job]) => [`${name}/${id}`, job] as const),
);
const steps = jobs.flatMap(([name, job]) => (job.steps ?? []).map((step) => [name, step] as const));
const job = (name: string): Job => jobs.find(([one]) => one === name)![1];

describe('every workflow', () => {
  it('is one of those that the guide names', () => {
    expect(Object.keys(workflows).toSorted()).toEqual([
      'ci',
      'deploy',
      'deploy-env',
      'destroy',
      'drift',
      'plan',
      'properties',
      'release',
    ]);
  });

  it('begins without any right, and gives each job its own', () => {
    for (const [name, { permissions }] of Object.entries(workflows))
      expect([name, permissions]).toEqual([name, {}]);
    for (const [name, { permissions }] of jobs)
      expect([name, Object.keys(permissions ?? {})]).toEqual([
        name,
        expect.arrayContaining(['contents']),
      ]);
  });

  it('runs others’ actions by their full commit, with the version beside it', () => {
    const used = [...Object.values(texts), ...actions].flatMap(
      (text) => text.match(/uses: .*/g) ?? [],
    );
    const foreign = used.filter((line) => !line.startsWith('uses: ./'));
    expect(foreign.length).toBeGreaterThan(20);
    for (const line of foreign)
      expect(line).toMatch(/^uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    for (const line of used.filter((one) => one.startsWith('uses: ./'))) {
      expect(existsSync(join(root, line.slice('uses: ./'.length)))).toBe(true);
    }
  });

  it('leaves no token in the checkout', () => {
    const checkouts = steps.filter(([, { uses = '' }]) => uses.startsWith('actions/checkout@'));
    expect(checkouts.length).toBeGreaterThan(6);
    for (const [name, step] of checkouts)
      expect([name, step.with?.['persist-credentials']]).toEqual([name, false]);
  });

  it('has no secret of Azure, nor runs a stranger’s code with rights', () => {
    for (const [name, text] of Object.entries(texts)) {
      expect([name, text.match(/secrets\.\w+/g)]).toEqual([name, null]);
      expect([name, text.includes('pull_request_target')]).toEqual([name, false]);
    }
  });

  it('names the client by the variable that bootstrapping sets, and Terraform’s version in one place', () => {
    const all = [...Object.values(texts), ...actions];
    for (const line of all.flatMap((text) => text.match(/.*vars\.CLIENT.*/g) ?? []))
      expect(line).toBe('  CLIENT: ${{ vars.CLIENT }}');
    expect(all.flatMap((text) => text.match(/terraform_version:/g) ?? [])).toHaveLength(1);
  });

  it('ends by itself', () => {
    const endless = jobs.filter(
      ([, one]) => one.uses === undefined && one['timeout-minutes'] === undefined,
    );
    expect(endless.map(([name]) => name)).toEqual([]);
  });

  it('takes nothing that others write into a command line', () => {
    for (const [name, { run = '' }] of steps)
      expect([name, run.match(/\$\{\{/g)]).toEqual([name, null]);
  });
});

describe('an image', () => {
  const builds = jobs.flatMap(([name, { steps: all = [] }]) =>
    all.flatMap(({ run = '' }) => (run.includes('buildx build') ? [[name, run] as const] : [])),
  );

  it('that others get is built on what its provenance names by digest, and signed', () => {
    const published = builds.filter(([, run]) => /--push|push=true/.test(run));
    expect(published.map(([name]) => name)).toEqual(['deploy/image', 'release/release']);
    for (const [name, run] of published) {
      for (const needed of [
        'base=$(scripts/image/base-image.sh)\n',
        '--build-arg "BUILD_IMAGE=$base"',
        '--provenance mode=max',
        '--sbom true',
      ])
        expect([name, run]).toEqual([name, expect.stringContaining(needed)]);
      const runs = job(name).steps!.map((step) => step.run ?? '');
      const signed = runs.findIndex((one) => one.startsWith('cosign sign '));
      expect([name, signed > runs.indexOf(run)]).toEqual([name, true]);
      expect(job(name).permissions?.['id-token']).toBe('write');
    }
  });

  it('is deployed only where everybody can pull it, as Container Apps does', () => {
    const runs = job('deploy/image').steps!.map((step) => step.run ?? '');
    const [sign, pull] = [runs.length - 2, runs.length - 1];
    expect(runs[sign]).toMatch(/^cosign sign /);
    expect(runs[pull]).toMatch(
      /^docker logout ghcr\.io\nif ! docker buildx imagetools inspect "\$IMAGE" /,
    );
  });

  it('is the same when it is built twice from one commit', () => {
    const [, run] = builds.find(([, one]) => one.includes('for round in 1 2'))!;
    expect(run).toContain('--build-arg "BUILD_IMAGE=$base"');
  });
});

describe('the image that ci builds', () => {
  it('is started with all that a gateway asks for', () => {
    const run = job('ci/image').steps?.at(-1)?.run ?? '';
    const names = [...run.matchAll(/--env (\w+)=/g)].map(([, name = '']) => name);
    const secret = 'sk-0123456789abcdef0123456789abcdef';
    const values = Object.fromEntries(
      names.map((name) => [name, name.endsWith('_PORT') ? '9090' : secret]),
    );
    const checked = spawnSync(
      process.execPath,
      ['gateway/src/main.ts', '--role', 'all', '--check'],
      {
        cwd: root,
        encoding: 'utf8',
        env: { ...values, AIGATEWAY_DATA_DIR: '/data' },
      },
    );
    expect(run).toContain('--role all');
    expect([checked.stderr, checked.status]).toEqual(['', 0]);
  });
});

describe('the API of a pull request', () => {
  it('is compared with that of the branch it is merged into, unless the title announces a break', () => {
    const compared = job('ci/api').steps?.at(-1);
    expect(compared?.env).toEqual({ TITLE: '${{ github.event.pull_request.title }}' });
    const [before, after, compare] = (compared?.run ?? '').trim().split('\n').slice(1);
    expect([before, after]).toEqual([
      'describe before >"$RUNNER_TEMP/before.json"',
      'describe . >"$RUNNER_TEMP/after.json"',
    ]);
    expect(compare).toBe(
      'node scripts/api/changes.ts "$RUNNER_TEMP/before.json" "$RUNNER_TEMP/after.json"',
    );
    const checkouts = job('ci/api').steps!.filter(({ uses }) =>
      uses?.startsWith('actions/checkout@'),
    );
    expect(checkouts.map((step) => [step.with?.['path'], step.with?.['ref']])).toEqual([
      [undefined, undefined],
      ['before', '${{ github.event.pull_request.base.sha }}'],
    ]);
  });
});

describe('the infrastructure', () => {
  it('is tried with a real Terraform: each stack against its provider, the scripts against what Terraform says', () => {
    const all = job('ci/infrastructure').steps!;
    expect(all.slice(-3).map(({ uses, run }) => uses ?? run)).toEqual([
      './.github/actions/terraform',
      'npm run terraform --prefix cdktf',
      'scripts/azure/test/terraform/run.sh',
    ]);
    expect(existsSync(join(root, 'scripts', 'azure', 'test', 'terraform', 'run.sh'))).toBe(true);
  });
});

describe('the cluster that ci makes', () => {
  const runs = (job('ci/cluster').steps ?? []).map(({ run = '' }) => run).join('\n');

  it('has every image that is run there, before the chart is installed', () => {
    const folderOfRun = join(root, 'charts', 'test', 'kind');
    const script = readFileSync(join(folderOfRun, 'run.sh'), 'utf8');
    const services = readFileSync(join(folderOfRun, 'services.yaml'), 'utf8');
    const tags = [...script.matchAll(/image\.tag=(\w+)/g)].map(([, tag = '']) => tag);
    // The gateway takes the name of a commit for its revision, and nothing else.
    expect(tags).toEqual([
      expect.stringMatching(/^[0-9a-f]{7}$/),
      expect.stringMatching(/^[0-9a-f]{7}$/),
    ]);
    expect(tags[0]).not.toBe(tags[1]);
    const images = [...tags.map((tag) => `aigateway:${tag}`), 'aigateway-simulator:ci'];
    expect(services).toContain('image: aigateway-simulator:ci');
    for (const tag of tags)
      expect(runs).toContain(`--build-arg REVISION=${tag} --tag aigateway:${tag} `);
    expect(runs).toContain(`load docker-image ${images.join(' ')}`);
    expect(runs.indexOf('create cluster')).toBeLessThan(runs.indexOf('charts/test/kind/run.sh'));
  });

  it('is made by a pinned program, and keeps no part of what another job caches', () => {
    expect(runs).toMatch(/go install sigs\.k8s\.io\/kind@v\d+\.\d+\.\d+$/m);
    expect(runs).toContain('npm run tools -- helm k6');
    const caches = steps.filter(
      ([name, { uses }]) => name.startsWith('ci/') && uses?.includes('/cache'),
    );
    expect(caches.map(([name, { uses = '' }]) => [name, uses.split('@')[0]])).toEqual([
      ['ci/check', 'actions/cache'],
      ['ci/cluster', 'actions/cache/restore'],
    ]);
  });
});

describe('who may change Azure', () => {
  const signsIn = jobs.filter(([, one]) =>
    one.steps?.some(({ uses }) => uses === './.github/actions/stack'),
  );

  const identityOf = (one: Job) =>
    /AZURE_(?:(\w+)_)?CLIENT_ID/.exec(
      String(
        one.steps!.find(({ uses }) => uses === './.github/actions/stack')!.with?.[
          'azure-client-id'
        ],
      ),
    )?.[1] ?? 'apply';

  it('is a job with an environment, whose reviewers approve it; all others may only read', () => {
    expect(signsIn.map(([name]) => name).toSorted()).toEqual([
      'deploy-env/deploy',
      'deploy-env/plan',
      'destroy/destroy',
      'drift/drift',
      'plan/plan',
    ]);
    for (const [name, one] of signsIn) {
      expect([name, one.environment !== undefined]).toEqual([name, identityOf(one) === 'apply']);
      expect(one.permissions?.['id-token']).toBe('write');
    }
  });

  it('reads secrets of apps on the main branch alone, never for a pull request', () => {
    expect(Object.fromEntries(signsIn.map(([name, one]) => [name, identityOf(one)]))).toEqual({
      'deploy-env/plan': 'READ',
      'deploy-env/deploy': 'apply',
      'destroy/destroy': 'apply',
      'drift/drift': 'READ',
      'plan/plan': 'PLAN',
    });
    // deploy-env is called by what runs on main alone; a job with an environment has another subject, which Azure trusts for the one that applies.
    const callers = jobs.filter(([, { uses }]) => uses === './.github/workflows/deploy-env.yml');
    expect(new Set(callers.map(([name]) => name.split('/')[0]))).toEqual(new Set(['deploy']));
    expect(job('drift/drift').if).toBe("github.ref == 'refs/heads/main'");
  });

  it('gets no token for a change that comes from a fork', () => {
    expect(job('plan/plan').if).toBe(
      'github.event.pull_request.head.repo.full_name == github.repository',
    );
    for (const [name, { permissions = {} }] of jobs)
      if (name.startsWith('ci/')) expect(permissions).toEqual({ contents: 'read' });
  });

  it('is never cut off in the middle', () => {
    for (const name of ['destroy', 'drift'])
      expect(workflows[name]?.concurrency?.['cancel-in-progress']).toBe(false);
    expect(texts['deploy-env']).toContain('group: deploy-${{ inputs.environment }}');
    // Two of them follow no other run of theirs.
    const free = ['deploy/ci', 'deploy/targets'];
    const ofDeploy = jobs.filter(([one]) => one.startsWith('deploy/') && !free.includes(one));
    for (const [name, { concurrency }] of ofDeploy)
      expect([name, concurrency]).toEqual([
        name,
        { group: name.replace('deploy/', 'merge-'), 'cancel-in-progress': false },
      ]);
    // A merge that waits for its approval would hold it.
    expect(workflows['deploy']?.concurrency).toBeUndefined();
  });

  it('reads everything anew, so that an approval is for what is there; who may only look plans from the state', () => {
    const plans = (name: string) =>
      job(name)
        .steps!.flatMap(({ run = '' }) => run.split('\n'))
        .filter((line) => line.includes('scripts/azure/plan.sh '))
        .map((line) => line.includes('--read state'));
    expect(plans('deploy-env/deploy')).toEqual([false, false]);
    expect(plans('deploy-env/plan')).toEqual([false]);
    expect(plans('drift/drift')).toEqual([false]);
    expect(plans('plan/plan')).toEqual([true]);
  });

  it('destroys dev alone, after its name was typed', () => {
    expect(job('destroy/destroy').environment).toBe('dev');
    expect(job('destroy/destroy').steps?.[0]?.run).toBe('test "$CONFIRM" = "$CLIENT-dev"');
    expect(Object.keys(workflows['destroy']!.on)).toEqual(['workflow_dispatch']);
    const image = job('destroy/destroy').steps?.at(-1)?.env?.['TF_VAR_image'];
    // The stacks refuse any other form, also when they are destroyed.
    expect(image).toMatch(/@sha256:[0-9a-f]{64}$/);
  });
});

describe('which environments', () => {
  const chain = ['dev', 'staging', 'prod'] as const;

  /** The environments that a run gets to, by the conditions of its jobs as GitHub reads them. */
  function deployed(
    environments: readonly string[] | undefined,
    failing = '',
    isCancelled = false,
  ): string[] {
    const targets = environments === undefined ? 'skipped' : 'success';
    const results: { [job: string]: string } = { image: 'success', targets };
    for (const name of chain) {
      const { needs = [], if: condition = 'true' } = job(`deploy/${name}`);
      const known = [needs].flat();
      const needed = Object.fromEntries(
        known.map((one) => [
          one,
          {
            result: results[one],
            outputs: one === 'targets' ? { environments: JSON.stringify(environments) ?? '' } : {},
          },
        ]),
      );
      // Without a function that asks how the run stands, GitHub asks that all before have succeeded.
      const asks = condition.includes('cancelled()');
      const isFree = asks || known.every((one) => results[one] === 'success');
      const isMet =
        isFree &&
        (runInNewContext(condition, {
          needs: needed,
          cancelled: () => isCancelled,
          fromJSON: JSON.parse,
          contains: (list: unknown[], item: unknown) => list.includes(item),
        }) as boolean);
      results[name] = !isMet ? 'skipped' : name === failing ? 'failure' : 'success';
    }
    return chain.filter((name) => results[name] !== 'skipped');
  }

  it('a merge goes to are those that the client has, each after those before it', () => {
    expect(deployed(chain)).toEqual(chain);
    expect(deployed(['dev', 'prod'])).toEqual(['dev', 'prod']);
    expect(deployed(['staging', 'prod'])).toEqual(['staging', 'prod']);
    expect(deployed(['prod'])).toEqual(['prod']);
    expect(deployed(chain, 'dev')).toEqual(['dev']);
    expect(deployed(chain, 'staging')).toEqual(['dev', 'staging']);
    expect(deployed(['dev', 'prod'], 'dev')).toEqual(['dev']);
    // Where the merge has not passed, nobody says where it is to go.
    expect(deployed(undefined)).toEqual([]);
    // A run that is cancelled goes on to none but what is under way.
    expect(deployed(chain, '', true)).toEqual(['dev']);
  });

  it('a merge goes to are none where a later one has gone before', () => {
    expect(deployed([])).toEqual([]);
    const { steps: all = [], permissions, concurrency } = job('deploy/targets');
    expect(all.at(-1)?.run).toContain(
      'scripts/azure/targets.sh "$CLIENT" "$GITHUB_REPOSITORY" "$GITHUB_RUN_NUMBER"',
    );
    expect(permissions).toEqual({ contents: 'read', actions: 'read' });
    // It is the job of that name that later runs are asked for, and must never wait.
    expect(texts['deploy']).toMatch(/^ {2}targets:\n {4}name: Targets$/m);
    expect(concurrency).toBeUndefined();
  });

  it.each(['plan', 'drift'])('%s asks are those that the client has', (name) => {
    expect(job(`${name}/environments`).steps?.at(-1)?.run).toContain(
      'scripts/azure/environments.sh "$CLIENT"',
    );
    const { needs, strategy } = job(`${name}/${name}`);
    expect([needs, strategy?.matrix['environment']]).toEqual([
      'environments',
      '${{ fromJSON(needs.environments.outputs.environments) }}',
    ]);
  });

  it('nobody brings an image to are planned with the one that was applied last', () => {
    for (const name of ['plan', 'drift']) expect(texts[name]).not.toContain('TF_VAR_image');
    // What is not there has not drifted.
    expect(texts['drift']).toContain(' --only applied --changed 2 ');
    expect(texts['plan']).not.toContain('--only');
  });
});

describe('an image that is to be deployed', () => {
  it.each(['plan', 'deploy'])('is looked at first by the job %s', (name) => {
    const all = job(`deploy-env/${name}`).steps!;
    const at = all.findIndex(({ run = '' }) => run.includes('check-image.sh'));
    expect(all[at]?.run).toBe(
      'scripts/azure/check-image.sh --client "$CLIENT" --env "$ENVIRONMENT" --image "$TF_VAR_image" --commit "$GITHUB_SHA" --repo "$GITHUB_REPOSITORY"',
    );
    expect(all[at]?.if).toBeUndefined();
    expect(all[at - 1]?.uses).toMatch(/^sigstore\/cosign-installer@/);
    // It asks which of two commits came first.
    expect(all[0]?.with?.['fetch-depth']).toBe(0);
    const others = all
      .map(({ run = '' }, index) => (run.includes('scripts/azure/') && index !== at ? index : -1))
      .filter((index) => index !== -1);
    expect(Math.min(...others)).toBeGreaterThan(at);
  });
});

describe('a deployment', () => {
  it('brings the very same image to dev on merge, then to staging, then to prod', () => {
    expect(workflows['deploy']!.on).toEqual({ push: { branches: ['main'] } });
    const images = ['dev', 'staging', 'prod'].map((environment) => {
      const one = job(`deploy/${environment}`);
      expect(one.uses).toBe('./.github/workflows/deploy-env.yml');
      expect(one.with?.['environment']).toBe(environment);
      return one.with?.['image'];
    });
    expect(new Set(images)).toEqual(new Set(['${{ needs.image.outputs.image }}']));
    // The merge itself is checked, which is not what any pull request was checked as.
    expect(job('deploy/ci')).toMatchObject({
      uses: './.github/workflows/ci.yml',
      permissions: { contents: 'read' },
    });
    expect(job('deploy/targets').needs).toEqual(['ci', 'image']);
    expect(job('deploy/dev').needs).toEqual(['image', 'targets']);
    expect(Object.keys(workflows['ci']!.on)).toEqual(['pull_request', 'workflow_call']);
    expect(job('deploy/staging').needs).toContain('dev');
    expect(job('deploy/prod').needs).toContain('staging');
  });

  it('applies what was approved, keeps the calls in place, tries the new revision, shifts step by step, and goes back', () => {
    const runs = job('deploy-env/deploy').steps!.map(({ run = '' }) => run);
    const at = (text: string) => {
      const found = runs.findIndex((run) => run.includes(text));
      expect([text, found]).not.toEqual([text, -1]);
      return found;
    };
    const order = [
      // An update writes weights as the plan has read them.
      at('--to present'),
      at('$APPROVED'),
      // A control plane refuses to start before.
      at('migrate.sh'),
      at('--of regions'),
      at('--to green'),
      at('make-smoke-keys.sh'),
      at('smoke-key.sh'),
      at('--revision "$GITHUB_SHA"'),
      at('for percent in 10 50 100'),
      at('--of front-door'),
      at('--plans "$RUNNER_TEMP/left"'),
      at('--to back'),
    ];
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(job('deploy-env/deploy').steps!.at(-1)?.if).toContain('failure() || cancelled()');
    expect(job('deploy-env/deploy').environment).toMatchObject({
      name: '${{ inputs.environment }}',
    });
  });

  it('signs Azure CLI in anew before it reads the vault and before it gives calls back: its token is over by then', () => {
    const all = job('deploy-env/deploy').steps!;
    const back = all.findIndex(({ run = '' }) => run.includes('--to back'));
    const vault = all.findIndex(({ run = '' }) => run.includes('make-smoke-keys.sh'));
    // An hour from then on for what follows, not what is left of the first.
    expect(all[vault - 2]?.run).toBe('az account clear');
    for (const at of [vault, back]) {
      const { uses = '', with: as, if: when } = all[at - 1]!;
      expect(uses).toMatch(/^azure\/login@/);
      expect(when).toBe(all[at]!.if);
      for (const name of ['client', 'tenant', 'subscription']) {
        const variable = `ARM_${name.toUpperCase()}_ID`;
        expect(as?.[`${name}-id`]).toBe(`\${{ env.${variable} }}`);
        // As whoever the action has signed in before.
        expect(actions[0]).toContain(`echo "${variable}=`);
      }
    }
  });

  it.each([
    [0, ''],
    [2, 'what is left\n'],
    [1, 'what is left\n'],
  ])(
    'says so where the plan after it is not empty (%d), and is no worse for it',
    (code, summary) => {
      const step = job('deploy-env/deploy').steps!.find(({ run = '' }) => run.includes('/left"'));
      const folder = mkdtempSync(join(tmpdir(), 'aigateway-step-'));
      mkdirSync(join(folder, 'scripts', 'azure'), { recursive: true });
      writeFileSync(
        join(folder, 'scripts', 'azure', 'plan.sh'),
        `#!/bin/sh\necho what is left\nexit ${code}\n`,
        { mode: 0o755 },
      );
      const { status, stdout } = spawnSync(
        'bash',
        ['-e', '-o', 'pipefail', '-c', step?.run ?? ''],
        {
          cwd: folder,
          encoding: 'utf8',
          env: {
            PATH: process.env['PATH'],
            CLIENT: 'pvc',
            ENVIRONMENT: 'dev',
            RUNNER_TEMP: folder,
            GITHUB_STEP_SUMMARY: join(folder, 'told'),
          },
        },
      );
      const told = existsSync(join(folder, 'told'))
        ? readFileSync(join(folder, 'told'), 'utf8')
        : '';
      rmSync(folder, { recursive: true });
      expect([status, told]).toEqual([0, summary]);
      expect(stdout).toBe(
        code === 0
          ? ''
          : '::warning::A plan right after the deployment of dev is not empty, or could not be made: see the summary.\n',
      );
    },
  );

  it('never keeps a plan: plans hold secrets', () => {
    for (const text of Object.values(texts)) expect(text).not.toMatch(/upload-artifact[\s\S]*plan/);
    for (const [, { run = '' }] of steps)
      for (const [plans] of run.matchAll(/--plans \S+/g))
        expect(plans).toMatch(/^--plans "\$RUNNER_TEMP\/(plans|left)"$/);
  });
});

describe('a release', () => {
  it('finds the Helm that it installed', () => {
    const line = job('release/release')
      .steps!.flatMap(({ run = '' }) => run.split('\n'))
      .find((one) => one.startsWith('helm='));
    const { stdout, stderr } = spawnSync('bash', ['-c', `${line}; printf %s "$helm"`], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` },
    });
    expect([stdout, stderr]).toEqual([toolPath('helm') ?? 'undefined', '']);
  });
});

describe('linters', () => {
  const actionlint = toolPath('actionlint');
  it.skipIf(actionlint === undefined)(
    'actionlint finds nothing (npm run tools -- actionlint)',
    () => {
      const shellcheck = toolPath('shellcheck');
      const args = shellcheck === undefined ? [] : ['-shellcheck', shellcheck];
      const { stdout, status } = spawnSync(actionlint!, args, { cwd: root, encoding: 'utf8' });
      expect([stdout, status]).toEqual(['', 0]);
    },
  );

  const zizmor = toolPath('zizmor');
  it.skipIf(zizmor === undefined)('zizmor finds nothing (npm run tools -- zizmor)', () => {
    const { stdout, status } = spawnSync(
      zizmor!,
      ['--offline', '--quiet', '--persona=regular', '.github'],
      { cwd: root, encoding: 'utf8' },
    );
    expect([stdout, status]).toEqual([expect.any(String), 0]);
  });
});
