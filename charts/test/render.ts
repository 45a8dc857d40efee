import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { toolPath } from '../../scripts/tools.ts';

const chart = join(import.meta.dirname, '..', 'aigateway');
export const shapes = readdirSync(join(chart, 'ci')).map((name) =>
  name.replace('-values.yaml', ''),
);
export const helm = toolPath('helm');

/** Part of an object of Kubernetes, as tests look at it. */
export type Part = { readonly [key: string]: unknown };

export type Manifest = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: { readonly [name: string]: string };
    readonly annotations?: { readonly [name: string]: string };
  };
  readonly spec: Part;
  readonly data?: { readonly [name: string]: string };
};

export function valuesFile(shape: string): string {
  return join(chart, 'ci', `${shape}-values.yaml`);
}

/** Runs Helm on the chart, as release "gateway" in namespace "ai" where there is one. */
export function run(command: readonly string[], args: readonly string[], from = chart) {
  const isOfChart = command[0] === 'lint' || command[0] === 'package';
  const place = isOfChart ? [from] : ['gateway', from, '--namespace', 'ai'];
  const { status, stdout, stderr } = spawnSync(helm ?? '', [...command, ...place, ...args], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, stdout, stderr };
}

/** The text that Helm makes of a shape. @throws {Error} with Helm's words if it refuses */
export function render(shape: string, more: readonly string[] = []): string {
  const { status, stdout, stderr } = run(['template'], ['--values', valuesFile(shape), ...more]);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

export function manifestsIn(text: string): Manifest[] {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) throw new Error('no documents');
  return documents
    .map((document) => document.toJS() as Manifest | null)
    .filter((one) => one !== null);
}

export type PodSpec = {
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly configMap?: { name: string } }[];
  readonly [key: string]: unknown;
};

export type Variable = {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef: {
      readonly name: string;
      readonly key: string;
      readonly optional?: boolean;
    };
  };
};

export type Container = {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly Variable[];
  readonly resources: { readonly requests: Part; readonly limits: Part };
  readonly volumeMounts: readonly { readonly name: string; readonly subPath?: string }[];
  readonly [key: string]: unknown;
};

/** What an object says of the pods that it makes; undefined where it makes none. */
export function podOf({ kind, metadata, spec }: Manifest) {
  if (kind === 'Pod') return { metadata, spec: spec as unknown as PodSpec };
  if (kind !== 'Deployment' && kind !== 'Job') return undefined;
  return spec['template'] as { metadata: Manifest['metadata']; spec: PodSpec };
}

export function readChartFile(name: string): string {
  return readFileSync(join(chart, name), 'utf8');
}
