import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configure } from '@aigateway/contract/compile';
import { aigatewaySettings } from '@aigateway/contract/config';
import { variables } from '@aigateway/contract/environment-config';
import { redisVariables } from '@aigateway/contract/redis-settings';
import { readCommand } from '@aigateway/gateway/command-line';
import { parse } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toolPath } from '../../scripts/tools.ts';
import {
  helm,
  type Manifest,
  manifestsIn,
  podOf,
  readChartFile,
  render,
  run,
  shapes,
  type Variable,
  valuesFile,
} from './render.ts';

const missing = helm === undefined ? ': needs helm (npm run tools -- helm)' : '';
const { version: chartVersion } = parse(readChartFile('Chart.yaml')) as { version: string };
const texts = new Map<string, string>();
const rendered = new Map<string, Manifest[]>();

beforeAll(() => {
  if (helm === undefined) return;
  for (const shape of shapes) {
    const text = render(shape);
    texts.set(shape, text);
    rendered.set(shape, manifestsIn(text));
  }
});

function objects(shape: string, kind?: string): Manifest[] {
  const all = rendered.get(shape) ?? [];
  return kind === undefined ? all : all.filter((one) => one.kind === kind);
}

function object(shape: string, kind: string, name: string): Manifest {
  const found = objects(shape, kind).find((one) => one.metadata.name === name);
  if (found === undefined) throw new Error(`${shape} has no ${kind} ${name}`);
  return found;
}

const labelOf = (name: string, { metadata }: Manifest) =>
  metadata.labels?.[`app.kubernetes.io/${name}`];
const secretsIn = (env: readonly Variable[] = []) =>
  env.flatMap(({ valueFrom }) => (valueFrom === undefined ? [] : [valueFrom.secretKeyRef]));

describe.skipIf(helm === undefined)(`the chart${missing}`, () => {
  describe.each(shapes)('%s', (shape) => {
    it('has the objects of its shape', () => {
      const names = objects(shape).map(
        ({ kind, metadata }) =>
          `${kind} ${metadata.name.replace(/^(gateway-aigateway|models)/, '*')}`,
      );
      expect(names.toSorted()).toMatchSnapshot();
    });

    it('labels every object, and selects by labels that no upgrade changes', () => {
      for (const one of objects(shape)) {
        if (one.metadata.name.endsWith('-authorities')) continue; // an extra object
        expect(one.metadata.namespace).toBe('ai');
        expect(labelOf('instance', one)).toBe('gateway');
        const { selector } = one.spec ?? {};
        const labels = (selector as { matchLabels?: object })?.matchLabels ?? selector ?? {};
        expect(Object.keys(labels)).not.toContain('app.kubernetes.io/version');
        expect(Object.keys(labels)).not.toContain('helm.sh/chart');
      }
    });

    it('runs every pod without rights, tokens and links to services, on a read-only root', () => {
      const pods = objects(shape).flatMap((one) => podOf(one) ?? []);
      expect(pods.length).toBeGreaterThan(1);
      for (const { spec } of pods) {
        expect(spec).toMatchObject({
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65_532,
            seccompProfile: { type: 'RuntimeDefault' },
          },
        });
        for (const container of spec.containers) {
          expect(container['securityContext']).toMatchObject({
            allowPrivilegeEscalation: false,
            capabilities: { drop: ['ALL'] },
            readOnlyRootFilesystem: true,
            runAsNonRoot: true,
          });
          expect(container.resources).toMatchObject({
            requests: { cpu: expect.any(String), memory: expect.any(String) },
            limits: { memory: expect.any(String) },
          });
          expect(container.image).toMatch(
            /^registry\.[\w.]+\/aigateway(:0\.1\.0|@sha256:[0-9a-f]{64})$/,
          );
        }
      }
    });

    it('starts the gateway with options, variables and a file that it takes', () => {
      const known = new Set([
        ...variables.map(({ name }) => name),
        ...Object.keys(aigatewaySettings.shape).map((key) => `AIGATEWAY_${key.toUpperCase()}`),
        ...Object.values(redisVariables).flat(),
      ]);
      for (const deployment of objects(shape, 'Deployment')) {
        const { spec } = podOf(deployment)!;
        const [container] = spec.containers;
        const { args, env } = container!;
        expect(readCommand(args)).toMatchObject({
          action: 'start',
          role: labelOf('component', deployment),
        });
        const { modelKeys = [] } = (
          parse(readFileSync(valuesFile(shape), 'utf8')) as { secrets: { modelKeys?: string[] } }
        ).secrets;
        const own = env.map(({ name }) => name).filter((name) => !modelKeys.includes(name));
        expect(own.filter((name) => !known.has(name))).toEqual([]);
        expect(new Set(own).size).toBe(own.length);
        const { configMap } = spec.volumes.find(({ name }) => name === 'config')!;
        const file = object(shape, 'ConfigMap', configMap!.name).data?.['config.yaml'] ?? '';
        const { problems } = configure(parse(file), {
          AIGATEWAY_ROLE: args[1],
          ...Object.fromEntries(env.map((variable) => [variable.name, valueIn(variable)])),
          // What the webhook of workload identity sets.
          AZURE_TENANT_ID: 'tenant',
          AZURE_CLIENT_ID: 'client',
          AZURE_FEDERATED_TOKEN_FILE: '/var/run/secrets/azure/tokens/azure-identity-token',
        });
        expect(problems).toEqual([]);
      }
    });

    it('asks the ports of probes and lets calls end before Kubernetes ends the pod', () => {
      for (const deployment of objects(shape, 'Deployment')) {
        const { spec } = podOf(deployment)!;
        const [container] = spec.containers;
        expect(container).toMatchObject({
          ports: [
            { name: 'http', containerPort: Number(valueOf(container!.env, 'AIGATEWAY_PORT')) },
            { name: 'ops', containerPort: Number(valueOf(container!.env, 'AIGATEWAY_OPS_PORT')) },
          ],
          startupProbe: { httpGet: { path: '/livez', port: 'ops' } },
          livenessProbe: { httpGet: { path: '/livez', port: 'ops' } },
          readinessProbe: { httpGet: { path: '/readyz', port: 'ops' } },
        });
        const needed = ['AIGATEWAY_STOP_DELAY', 'AIGATEWAY_DRAIN_TIME']
          .map((name) => Number(valueOf(container!.env, name)))
          .reduce((sum, seconds) => sum + seconds);
        expect(needed).toBeGreaterThan(0);
        expect(spec['terminationGracePeriodSeconds']).toBe(needed + 10);
      }
    });

    it('leaves the number of pods to an autoscaler where there is one', () => {
      const scaled = objects(shape).flatMap(({ kind, spec }) =>
        kind === 'HorizontalPodAutoscaler' || kind === 'ScaledObject'
          ? [(spec['scaleTargetRef'] as { name: string }).name]
          : [],
      );
      expect(new Set(scaled).size).toBe(scaled.length);
      for (const { metadata, spec } of objects(shape, 'Deployment'))
        expect(spec['replicas'] === undefined).toBe(scaled.includes(metadata.name));
    });

    it('mounts files whole, for a part of a ConfigMap is never brought up to date', () => {
      for (const one of objects(shape))
        for (const { volumeMounts = [] } of podOf(one)?.spec.containers ?? [])
          expect(volumeMounts.filter(({ subPath }) => subPath !== undefined)).toEqual([]);
    });

    it('takes no account of Kubernetes that is not there', () => {
      const made = objects(shape, 'ServiceAccount').map(({ metadata }) => metadata.name);
      for (const one of [...objects(shape, 'Deployment'), ...objects(shape, 'Job')])
        expect(made).toContain(podOf(one)!.spec['serviceAccountName']);
    });

    it('has no findings of helm lint', () => {
      const { status, stdout, stderr } = run(['lint', '--strict'], ['--values', valuesFile(shape)]);
      expect([status, stdout, stderr]).toEqual([
        0,
        expect.stringContaining('0 chart(s) failed'),
        '',
      ]);
    });
  });

  it('gives a pod the secrets that its role reads, and no others', () => {
    const keysOf = (kind: string, name: string) =>
      secretsIn(podOf(object('plain', kind, `gateway-aigateway-${name}`))!.spec.containers[0]!.env);
    const required = (kind: string, name: string) =>
      keysOf(kind, name).flatMap(({ key, optional }) => (optional === true ? [] : [key]));
    expect(required('Deployment', 'proxy')).toEqual([
      'AIGATEWAY_SECRET',
      'REDIS_URL',
      'UPSTREAM_KEY',
    ]);
    expect(required('Deployment', 'control-plane')).toEqual([
      'AIGATEWAY_SECRET',
      'REDIS_URL',
      'LITELLM_MASTER_KEY',
      'UPSTREAM_KEY',
      'DATABASE_URL',
    ]);
    expect(keysOf('Job', 'migration').map(({ key }) => key)).toEqual(['DATABASE_URL']);
    const proxy = keysOf('Deployment', 'proxy').map(({ key }) => key);
    for (const key of ['LITELLM_MASTER_KEY', 'DATABASE_URL', 'PROXY_API_KEY'])
      expect(proxy).not.toContain(key);
  });

  it('gives models and keys to the control plane, for with them a proxy would stand alone', () => {
    const fileOf = (shape: string, component: string) =>
      parse(
        object(shape, 'ConfigMap', `gateway-aigateway-${component}`).data?.['config.yaml'] ?? '',
      ) as object;
    expect(Object.keys(fileOf('plain', 'proxy'))).toEqual(['aigateway_settings']);
    expect(fileOf('plain', 'control-plane')).toHaveProperty('model_list');
    expect(fileOf('standalone', 'proxy')).toHaveProperty('model_list');
  });

  it('restarts pods when their file or the revision of their secrets changes, and not otherwise', () => {
    const checksums = (...more: string[]) =>
      manifestsIn(render('plain', more))
        .filter(({ kind }) => kind === 'Deployment')
        .map((one) => JSON.stringify(podOf(one)!.metadata.annotations));
    const [proxy, control] = checksums();
    const changed = checksums('--set', 'config.router_settings.num_retries=5');
    expect([changed[0] === proxy, changed[1] === control]).toEqual([true, false]);
    const rotated = checksums('--set', 'secrets.revision=2');
    expect([rotated[0] === proxy, rotated[1] === control]).toEqual([false, false]);
  });

  it('migrates the store before anything changes, with an account of its own and a deadline', () => {
    for (const shape of ['plain', 'aks', 'operators']) {
      const [job] = objects(shape, 'Job');
      const weightOf = ({ metadata }: Manifest) =>
        Number(metadata.annotations?.['helm.sh/hook-weight']);
      expect(job!.spec).toMatchObject({
        backoffLimit: expect.any(Number),
        activeDeadlineSeconds: expect.any(Number),
      });
      expect(readCommand(podOf(job!)!.spec.containers[0]!.args)).toMatchObject({
        action: 'migrate',
        migration: 'apply',
      });
      const account = object(shape, 'ServiceAccount', job!.metadata.name);
      for (const hook of [job!, account])
        expect(hook.metadata.annotations?.['helm.sh/hook']).toBe('pre-install,pre-upgrade');
      expect(weightOf(account)).toBeLessThan(weightOf(job!));
    }
    for (const shape of ['small', 'standalone']) expect(objects(shape, 'Job')).toEqual([]);
    const [external] = objects('operators', 'ExternalSecret');
    expect(external!.metadata.annotations?.['helm.sh/hook-weight']).toBe('-20');
    expect(external!.spec).toMatchObject({ target: { creationPolicy: 'Orphan' } });
  });

  it('signs in to Azure as the identities that it is told, each pod as its own', () => {
    const identityOf = (one: Manifest) =>
      object('aks', 'ServiceAccount', String(podOf(one)!.spec['serviceAccountName'])).metadata
        .annotations?.['azure.workload.identity/client-id'];
    const pods = [...objects('aks', 'Deployment'), ...objects('aks', 'Job')];
    for (const one of pods)
      expect(podOf(one)!.metadata.labels).toMatchObject({ 'azure.workload.identity/use': 'true' });
    expect(pods.map((one) => identityOf(one)?.at(-1))).toEqual(['a', 'b', 'b']);
    for (const shape of ['plain', 'small', 'standalone', 'operators'])
      expect(texts.get(shape)).not.toContain('azure.workload.identity');
  });

  it('lets nobody but proxies and tests reach the management API unless told', () => {
    const policy = object('plain', 'NetworkPolicy', 'gateway-aigateway-control-plane');
    const [main] = policy.spec['ingress'] as { ports: { port: string }[]; from?: unknown[] }[];
    expect(main?.ports).toEqual([{ port: 'http', protocol: 'TCP' }]);
    const selected = main?.from as { podSelector: { matchLabels: { [name: string]: string } } }[];
    expect(
      selected.map(({ podSelector }) => podSelector.matchLabels['app.kubernetes.io/component']),
    ).toEqual(['proxy', 'test']);
  });

  it('makes no network policy where none is wanted', () => {
    const all = manifestsIn(render('plain', ['--set', 'networkPolicy.enabled=false']));
    expect(all.filter(({ kind }) => kind === 'NetworkPolicy')).toEqual([]);
  });

  it('keeps the file of a small store on a volume that outlives the release, for one pod at a time', () => {
    const [claim] = objects('small', 'PersistentVolumeClaim');
    expect(claim!.metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' });
    const [deployment] = objects('small', 'Deployment');
    expect(deployment!.spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
    expect(podOf(deployment!)!.spec.volumes).toContainEqual({
      name: 'data',
      persistentVolumeClaim: { claimName: claim!.metadata.name },
    });
  });

  it.each([
    ['image.repository is missing', 'plain', 'image.repository='],
    ['image.tag is latest', 'plain', 'image.tag=latest'],
    ['secrets.existingSecret is missing', 'plain', 'secrets.existingSecret='],
    ['store.cosmosEndpoint is missing', 'plain', 'store.kind=cosmos'],
    ['nothing is enabled', 'standalone', 'proxy.enabled=false'],
    ['one pod only may use the file', 'plain', 'store.kind=sqlite,controlPlane.replicas=2'],
    ['data directory of one pod', 'small', 'store.kind=postgresql,all.replicas=2'],
    ['enable one', 'aks', 'secrets.externalSecret.enabled=true'],
    ['every host name would be taken', 'plain', 'controlPlane.ingress.enabled=true'],
    ["'proxi' not allowed", 'plain', 'proxi.replicas=2'],
    ["'port' not allowed", 'plain', 'config.aigateway_settings.port=9'],
  ])('says "%s"', (message, shape, setting) => {
    const { status, stderr } = run(['template'], ['--values', valuesFile(shape), '--set', setting]);
    expect(status).not.toBe(0);
    expect(stderr).toContain(message);
  });

  it('is whole in the archive that is carried to a place without registries', () => {
    const folder = mkdtempSync(join(tmpdir(), 'aigateway-chart-'));
    try {
      expect(run(['package', '--destination', folder], []).status).toBe(0);
      const archive = join(folder, `aigateway-${chartVersion}.tgz`);
      const ofArchive = run(['template'], ['--values', valuesFile('operators')], archive);
      expect(ofArchive.stdout).toBe(texts.get('operators'));
      const mistyped = run(
        ['template'],
        ['--values', valuesFile('plain'), '--set', 'x=1'],
        archive,
      );
      expect(mistyped.stderr).toContain("'x' not allowed");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('says after an installation how to go on', () => {
    const { stdout } = run(['install', '--dry-run=client'], ['--values', valuesFile('plain')]);
    const notes = stdout.slice(stdout.indexOf('\nNOTES:'));
    expect(notes).toContain('helm test gateway -n ai');
    expect(notes).toContain('https://ai.example/v1');
    expect(notes).toContain('service/gateway-aigateway-control-plane 4000:80');
  });

  const checks = [
    ['kubernetes-validate', ['--strict', '-k', '1.37'], 0],
    [
      'kube-score',
      [
        'score',
        '--output-format=ci',
        // A limit of CPU holds streams up; an image that never changes need not be asked for at each start.
        '--ignore-container-cpu-limit',
        '--ignore-test=container-image-pull-policy',
      ],
      0,
    ],
  ] as const;
  for (const [name, args, expected] of checks) {
    const program = toolPath(name);
    describe.skipIf(program === undefined)(`checked by ${name} (npm run tools -- ${name})`, () => {
      let folder: string;
      beforeAll(() => {
        folder = mkdtempSync(join(tmpdir(), 'aigateway-chart-'));
      });
      afterAll(() => rmSync(folder, { recursive: true }));

      it.each(shapes)('%s has no faults', (shape) => {
        const file = join(folder, `${shape}.yaml`);
        writeFileSync(file, texts.get(shape) ?? '');
        const { status, stdout, stderr } = spawnSync(program ?? '', [...args, file], {
          encoding: 'utf8',
        });
        const faults = `${stdout}${stderr}`
          .split('\n')
          .filter((line) => /CRITICAL|ERROR/.test(line));
        expect(faults).toEqual([]);
        expect(status).toBe(expected);
      });
    });
  }
});

it('names metrics that there are, in alerts and in the dashboard', () => {
  const page = readFileSync(
    join(import.meta.dirname, '..', '..', 'docs', 'reference', 'metrics.md'),
    'utf8',
  );
  for (const file of ['files/alerts.yaml', 'files/dashboard.json']) {
    const names = readChartFile(file).match(/\baigateway_\w+/g) ?? [];
    const metrics = names.map((name) => name.replace(/_bucket$/, ''));
    expect(metrics.length).toBeGreaterThan(5);
    expect(metrics.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  }
});

it('shows what the page of metrics says to watch of tokens and cost', () => {
  const { panels } = JSON.parse(readChartFile('files/dashboard.json')) as {
    panels: {
      id: number;
      gridPos: { x: number; y: number };
      targets: { expr: string; refId: string }[];
    }[];
  };
  const shown = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n');
  for (const name of ['tokens_total', 'tokens_unused_total', 'cost_usd_total'])
    expect(shown).toContain(`aigateway_${name}{`);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size).toBe(panels.length);
});

function valueOf(env: readonly Variable[], name: string): string | undefined {
  return env.find((variable) => variable.name === name)?.value;
}

/** As in a pod with a secret that has what is required, and nothing else. */
function valueIn({ name, value, valueFrom }: Variable): string | undefined {
  if (value !== undefined) return value;
  if (valueFrom === undefined || valueFrom.secretKeyRef.optional === true) return undefined;
  if (name === 'REDIS_URL') return 'rediss://redis.example:6380';
  if (name === 'DATABASE_URL') return 'postgres://store.example/aigateway';
  return `sk-value-of-${name}-with-32-bytes-or-more`;
}
