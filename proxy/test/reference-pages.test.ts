import { readdirSync, readFileSync } from 'node:fs';
import type { UsageRecord } from '@aigateway/contract/usage';
import { describe, expect, it } from 'vitest';
import { routeList } from '../src/app.ts';
import { AccessLog } from '../src/telemetry/access-log.ts';
import { ManagementCalls } from '../src/telemetry/management-calls.ts';
import { Metrics } from '../src/telemetry/metrics.ts';
import {
  registerReadings,
  snapshotReadings,
  spoolReadings,
  logReadings,
  usageReadings,
} from '../src/telemetry/readings.ts';

const root = new URL('../../', import.meta.url);

function page(name: string): string[] {
  return readFileSync(new URL(`docs/reference/${name}`, root), 'utf8').split('\n');
}

/** A call that leaves a mark in every metric. */
const call: UsageRecord = {
  version: 1,
  requestId: 'request',
  startedAt: 0,
  durationMs: 20,
  firstOutputMs: 10,
  keyId: 'key',
  ownerId: 'key',
  tags: [],
  model: 'model',
  operation: 'chat',
  stream: true,
  status: 200,
  outcome: 'completed',
  tokens: {
    input: 10,
    cachedInput: 1,
    cacheWrite: 1,
    audioInput: 1,
    output: 10,
    reasoning: 1,
    audioOutput: 1,
  },
  usageSource: 'measured',
  costNanoUsd: 1,
  unpriced: false,
  attempts: [{ deploymentId: 'deployment', status: 200, reason: 'answered', durationMs: 10 }],
};

/** Metrics of the process itself come from prom-client. */
const ofTheRuntime = /^aigateway_(process|nodejs)_/;

async function servedMetrics(): Promise<string[]> {
  const metrics = new Metrics(
    () => ({ admitted: 1, settled: 1, inFlight: 0, doubleSettled: 0, unrecorded: 0 }),
    () => [{ id: 'deployment', model: 'model', region: 'region', state: 'healthy' }],
  );
  metrics.settled('chat', 'model', call, 30);
  const attempts = call.attempts.map((attempt) => ({ ...attempt, status: 500 }));
  metrics.settled('chat', 'model', { ...call, outcome: 'failed', status: 500, attempts }, 30);
  metrics.refused('missing_key');
  new ManagementCalls(metrics.registry, new AccessLog(() => undefined)).answered({
    requestId: 'request',
    startedAt: 0,
    durationMs: 1,
    client: '127.0.0.1',
    method: 'GET',
    endpoint: '/key/list',
    status: 200,
  });
  registerReadings(metrics.registry, [
    ...snapshotReadings(
      () => ({ revision: 1, asOfMs: 0, connected: true, refused: 0 }),
      () => 0,
    ),
    ...spoolReadings(() => ({ producer: 'own', last: 0, mark: 0, bytes: 0, isFull: false })),
    ...logReadings(() => ({ dropped: 0, isFailing: false })),
    ...usageReadings(() => ({ waiting: 0, producers: 0, taken: 0, refused: 0, missing: 0 })),
  ]);
  const lines = (await metrics.registry.metrics()).split('\n');
  return lines
    .flatMap((line) => {
      const [, name, help] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
      if (name === undefined || help === undefined || ofTheRuntime.test(name)) return [];
      const type = lines.find((one) => one.startsWith(`# TYPE ${name} `))?.split(' ')[3];
      const sample = lines.find((one) => new RegExp(`^${name}(_bucket)?[{ ]`).test(one)) ?? '';
      const labels = [...sample.matchAll(/[{,](\w+)="/g)]
        .map(([, label]) => label)
        .filter((label) => label !== 'le')
        .map((label) => `\`${label}\``);
      return [`| \`${name}\` | ${type} | ${labels.join(', ')} | ${help} |`];
    })
    .toSorted();
}

describe('the reference pages', () => {
  it('list every metric with its type, labels and meaning', async () => {
    const rows = page('metrics.md').filter((line) =>
      /^\| `(?:aigateway|litellm)_\w+` \|/.test(line),
    );
    expect(rows.toSorted()).toEqual(await servedMetrics());
  });

  it('list every path, with its method and name', () => {
    const rows = page('proxy-api.md').flatMap((line) => {
      const [, method, path, name] = /^\| ([A-Z]+) \| `([^`]+)` \| `([^`]+)` \|/.exec(line) ?? [];
      return method === undefined ? [] : [{ method, path, name }];
    });
    expect(rows).toEqual(routeList());
  });

  it('call reserved exactly those error codes that nothing answers with', () => {
    const sources = ['proxy/src/', 'contract/src/', 'gateway/src/'].flatMap((folder) =>
      readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
        .filter((file) => folder !== 'contract/src/' || file !== 'errors.ts')
        .map((file) => readFileSync(new URL(`${folder}${file}`, root), 'utf8')),
    );
    const text = page('errors.md');
    const codes = text.flatMap((line) => /^\| `([a-z_]+)` \| \d{3} \|/.exec(line)?.[1] ?? []);
    const reserved = text.find((line) => line.includes('are reserved')) ?? '';
    const unused = codes.filter((code) => !sources.some((source) => source.includes(`'${code}'`)));
    expect(unused.map((code) => `\`${code}\``)).toEqual(reserved.match(/`[a-z_]+`/g) ?? []);
  });
});
