import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configure } from '@aigateway/contract/compile';
import { parse, parseAllDocuments } from 'yaml';
import { describe, expect, it } from 'vitest';
import { toolPath } from '../../scripts/tools.ts';
import { gateSettings } from '../../smoke/gate/settings.ts';
import { type Container, helm, type Manifest, manifestsIn, podOf, run } from './render.ts';

const folder = join(import.meta.dirname, 'kind');
const script = join(folder, 'run.sh');
const text = readFileSync(script, 'utf8');

/** Stands for every program that the script starts: writes the call down, and has two pods until they were told to be gone. */
const standIn = `#!/bin/bash
echo "\${0##*/} $*" >> "$CALLS"
case "\${0##*/} $*" in
  *'--selector app.kubernetes.io/component=proxy'*) printf 'pod/a\\npod/b\\n' ;;
  *'get pod/a pod/b'*) [ -e "$CALLS.asked" ] || echo pod/b; touch "$CALLS.asked" ;;
  *port-forward*) exec sleep 60 ;;
esac
`;

describe('the run of the chart in a cluster', () => {
  it('installs, tests, smokes, upgrades and goes back, and looks at the right revision each time', () => {
    const place = mkdtempSync(join(tmpdir(), 'aigateway-kind-'));
    try {
      for (const name of ['kubectl', 'helm', 'npm', 'curl']) {
        writeFileSync(join(place, name), standIn);
        chmodSync(join(place, name), 0o755);
      }
      const calls = join(place, 'calls');
      const { status, stderr } = spawnSync('bash', [script], {
        encoding: 'utf8',
        env: {
          PATH: `${place}:${process.env['PATH']}`,
          CALLS: calls,
          HELM: join(place, 'helm'),
        },
      });
      expect([stderr, status]).toEqual(['', 0]);
      const made = readFileSync(calls, 'utf8').split('\n');
      const steps = made.flatMap((call) => {
        const [, helmVerb] = /^helm (\w+)/.exec(call) ?? [];
        const [, revision] = /^npm .*run smoke .*--revision (\w+)/.exec(call) ?? [];
        return helmVerb ?? (revision === undefined ? [] : [`smoke ${revision}`]);
      });
      expect(steps).toEqual([
        'install',
        'test',
        'smoke aaaaaaa',
        'upgrade',
        'smoke bbbbbbb',
        'rollback',
        'smoke aaaaaaa',
      ]);
      const helmCalls = made.filter((call) => /^helm (install|upgrade|rollback)/.test(call));
      expect(helmCalls.every((call) => call.includes(' --wait '))).toBe(true);
      expect(made.filter((call) => call.includes('get pod/a pod/b')).length).toBe(3);
    } finally {
      rmSync(place, { recursive: true });
    }
  });

  const shellcheck = toolPath('shellcheck');
  it.skipIf(shellcheck === undefined)(
    'is clean to shellcheck (npm run tools -- shellcheck)',
    () => {
      const { stdout, status } = spawnSync(shellcheck!, [script], { encoding: 'utf8' });
      expect([stdout, status]).toEqual(['', 0]);
    },
  );
});

const missing = helm === undefined ? ': needs helm (npm run tools -- helm)' : '';
describe.skipIf(helm === undefined)(`what is installed there${missing}`, () => {
  const secret = Object.fromEntries(
    [...text.matchAll(/--from-literal=([A-Z_]+)="?([^\s"]+)/g)].map(([, key = '', value = '']) => [
      key,
      value.replaceAll(/\$\(random\)|\$\w+/g, 'sk-0123456789abcdef0123456789abcdef'),
    ]),
  );
  const manifests = (): Manifest[] => {
    const values = ['--values', join(folder, 'values.yaml'), '--set', 'image.tag=aaaaaaa'];
    const { status, stdout, stderr } = run(['template'], values);
    expect([stderr, status]).toEqual(['', 0]);
    return manifestsIn(stdout);
  };

  it('finds all that it asks of the secret, and takes its own configuration', () => {
    const all = manifests();
    const pods = all.flatMap((one) => {
      const pod = podOf(one);
      return pod === undefined ? [] : [[one, pod.spec.containers[0]!] as const];
    });
    expect(pods.length).toBe(5);
    const environmentOf = ({ env }: Container) =>
      env.flatMap(({ name, value, valueFrom }) => {
        const { key = '', optional } = valueFrom?.secretKeyRef ?? {};
        const found = value ?? secret[key];
        if (found === undefined) expect([name, optional]).toEqual([name, true]);
        return found === undefined ? [] : [[name, found] as const];
      });
    for (const [one, container] of pods) {
      const environment = Object.fromEntries(environmentOf(container));
      if (one.kind !== 'Deployment') continue;
      const file = all.find(
        ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === one.metadata.name,
      );
      const { problems } = configure(parse(file?.data?.['config.yaml'] ?? ''), {
        AIGATEWAY_ROLE: container.args[1] ?? '',
        ...environment,
      });
      expect(problems).toEqual([]);
    }
  });

  it('may reach the services that are there, which have the models of the smoke', () => {
    const services = parseAllDocuments(readFileSync(join(folder, 'services.yaml'), 'utf8'))
      .map((document) => document.toJS() as Manifest)
      .filter(({ kind }) => kind === 'Service');
    const ports = services.flatMap(({ spec }) =>
      (spec['ports'] as { port: number }[]).map(({ port }) => port),
    );
    const values = parse(readFileSync(join(folder, 'values.yaml'), 'utf8')) as {
      config: { model_list: { model_name: string; litellm_params: { api_base: string } }[] };
      networkPolicy: { egressPorts: number[] };
    };
    expect(new Set(values.networkPolicy.egressPorts)).toEqual(new Set(ports));
    const models = values.config.model_list;
    const addresses = [
      ...models.map(({ litellm_params: { api_base: address } }) => address),
      secret['REDIS_URL'],
      secret['DATABASE_URL'],
    ];
    const named = services.flatMap(({ metadata, spec }) =>
      (spec['ports'] as { port: number }[]).map(({ port }) => `${metadata.name}.stores:${port}`),
    );
    for (const address of addresses)
      expect(named.some((one) => address?.includes(`${one}/`) || address?.endsWith(one))).toBe(
        true,
      );
    expect(models.map((model) => model.model_name)).toEqual(gateSettings('kind').models);
  });
});
