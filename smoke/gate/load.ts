/**
 * What k6 does with `--load CALLERS`: that many callers at once on streamed chats, reached in four steps, and a quarter of them again
 * in a fifth. In no step may the first output come later than the environment's settings allow a call of the smoke, which is how a
 * bottleneck would show; replicas come and go meanwhile (`scripts/azure/status.sh`). What Azure refuses for want of quota is counted apart.
 * Exit code 99 when a step does not hold.
 *
 * Given by `main.ts`: `SMOKE_SETTINGS`, `SMOKE_CALLERS`, `SMOKE_STEP_SECONDS`. k6 has no Node: nothing but its own modules can be imported, and files that import as little.
 */
import { check, sleep } from 'k6';
import http from 'k6/http';
import { Rate } from 'k6/metrics';
import { loadShares } from './load-shares.ts';
import type { GateSettings } from './settings.ts';

const settings = JSON.parse(__ENV['SMOKE_SETTINGS'] ?? '') as GateSettings;
const key = __ENV['SMOKE_KEY'] ?? '';
const callers = Number(__ENV['SMOKE_CALLERS']);
const stepSeconds = Number(__ENV['SMOKE_STEP_SECONDS']);

/** Calls of a hundred that may fail: a replica that goes takes none with it, but a network is a network. */
const leastGood = 0.99;

const steps = loadShares.map((share, index) => ({
  name: `step_${index + 1}`,
  callers: Math.max(1, Math.ceil(callers * share)),
  start: index * stepSeconds,
}));

const refused = new Rate('refused_for_quota');

export const options = {
  scenarios: Object.fromEntries(
    steps.map((step) => [
      step.name,
      {
        executor: 'constant-vus',
        vus: step.callers,
        startTime: `${step.start}s`,
        duration: `${stepSeconds}s`,
        gracefulStop: '60s',
      },
    ]),
  ),
  thresholds: {
    checks: [`rate>=${leastGood}`],
    ...Object.fromEntries(
      steps.flatMap(({ name }) => [
        [`http_req_waiting{scenario:${name}}`, [`p(75)<${settings.longestFirstByteMs}`]],
        // A bound that always holds: k6 keeps the figures of a scenario only where there is one.
        [`http_reqs{scenario:${name}}`, ['count>=0']],
        [`refused_for_quota{scenario:${name}}`, ['rate>=0']],
      ]),
    ),
  },
};

export default function load(): void {
  const answer = http.post(
    `${settings.url}/v1/chat/completions`,
    JSON.stringify({
      model: settings.chat,
      messages: [{ role: 'user', content: 'Say ok.' }],
      max_completion_tokens: 16,
      stream: true,
    }),
    {
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      timeout: '60s',
      responseType: 'text',
      responseCallback: http.expectedStatuses(200, 429),
    },
  );
  const wait = Number(answer.headers['Retry-After']);
  const isRefused = answer.status === 429 && wait > 0;
  refused.add(isRefused);
  check(answer, {
    'is answered to its end, or told when to come again': ({ status, body }) =>
      isRefused || (status === 200 && (body ?? '').trimEnd().endsWith('data: [DONE]')),
  });
  if (isRefused) sleep(Math.min(wait, stepSeconds / 4));
}

type Summary = {
  readonly metrics: {
    readonly [name: string]:
      | {
          readonly values: { readonly [name: string]: number };
          readonly thresholds?: { readonly [name: string]: { readonly ok: boolean } };
        }
      | undefined;
  };
};

/** A table of the steps, for people. */
export function handleSummary({ metrics }: Summary): { stdout: string } {
  const valueOf = (metric: string, value: string) => metrics[metric]?.values[value] ?? 0;
  const rows = steps.map(({ name, callers: count }) => {
    const of = `{scenario:${name}}`;
    const holds = Object.values(metrics[`http_req_waiting${of}`]?.thresholds ?? {});
    return [
      count,
      (valueOf(`http_reqs${of}`, 'count') / stepSeconds).toFixed(1),
      valueOf(`http_req_waiting${of}`, 'p(75)').toFixed(0),
      `${(valueOf(`refused_for_quota${of}`, 'rate') * 100).toFixed(0)} %`,
      holds.every(({ ok }) => ok) ? 'ok' : '**too slow**',
    ];
  });
  const good = valueOf('checks', 'rate');
  const lines = [
    `## Load on ${settings.url}`,
    '',
    '| Callers | Calls a second | First byte, p75 ms | Refused for quota | |',
    '|---|---|---|---|---|',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
    `- ${good >= leastGood ? 'ok' : '**failed**'}: ${(good * 100).toFixed(1)} % answered to their end`,
  ];
  return { stdout: `${lines.join('\n')}\n` };
}
