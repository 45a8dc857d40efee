/**
 * What k6 does in the smoke of one environment: a few tiny calls of everything that a client needs, in order, each with a check that
 * must hold. Exit code 99 when one does not. Started by `main.ts`, which gives it `SMOKE_SETTINGS`; k6 runs TypeScript as it stands.
 *
 * k6 has no Node: nothing but its own modules can be imported here, and types.
 */
import { check, group, sleep } from 'k6';
import http, { type RefinedResponse } from 'k6/http';
import { Gauge } from 'k6/metrics';
import type { GateSettings } from './settings.ts';

type Answer = RefinedResponse<'text'>;

const settings = JSON.parse(__ENV['SMOKE_SETTINGS'] ?? '') as GateSettings;
const key = __ENV['SMOKE_KEY'] ?? '';
const limitedKey = __ENV['SMOKE_LIMITED_KEY'] ?? '';
const revision = __ENV['SMOKE_REVISION'] ?? '';

/** A replica that was scaled to nothing has to be fetched and started first. */
const warmUpSeconds = 90;
/** Calls of each kind whose time is measured. */
const rounds = 3;
/** A limit that lets more calls through than this is none. */
const mostLimitedCalls = 20;

export const options = {
  scenarios: {
    smoke: {
      executor: 'shared-iterations',
      vus: 1,
      iterations: 1,
      maxDuration: '120s',
      gracefulStop: '5s',
    },
  },
  setupTimeout: `${warmUpSeconds + 30}s`,
  thresholds: {
    checks: ['rate==1'],
    'http_req_duration{call:measured}': [`p(75)<${settings.longestCallMs}`],
    'http_req_waiting{call:stream}': [`p(75)<${settings.longestFirstByteMs}`],
  },
};

type Call = {
  readonly path: string;
  readonly body?: object;
  /** Undefined: no key at all. */
  readonly key?: string | undefined;
  readonly call?: 'measured' | 'stream';
  /** What counts as an answer and not as a failure of the network. */
  readonly expected?: number;
};

function ask({ path, body, key: given, call, expected = 200 }: Call): Answer {
  const params = {
    headers: {
      ...(given !== undefined && { authorization: `Bearer ${given}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    tags: { name: path, ...(call !== undefined && { call }) },
    timeout: '60s',
    responseType: 'text' as const,
    responseCallback: http.expectedStatuses(expected),
  };
  const url = `${settings.url}${path}`;
  const answer =
    body === undefined ? http.get(url, params) : http.post(url, JSON.stringify(body), params);
  if (answer.status !== expected && answer.status !== 200) console.error(whyNot(path, answer));
  return answer;
}

/** What to look for: the summary can only count. The gateway's own words hold no secrets; others' are not shown. */
function whyNot(path: string, answer: Answer): string {
  const said = member(answer, 'error', 'message');
  const why = answer.error || (typeof said === 'string' ? said.slice(0, 300) : 'no JSON error');
  const id = header(answer, 'x-request-id');
  return `${path}: ${answer.status}, ${why}${id === undefined ? '' : ` (request ${id})`}`;
}

/** A member of a JSON answer by its path; undefined where there is none, or no JSON. */
function member(answer: Answer, ...path: (string | number)[]): unknown {
  let value: unknown;
  try {
    value = JSON.parse(answer.body);
  } catch {
    return undefined;
  }
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string | number, unknown>)[name];
  }
  return value;
}

function header(answer: Answer, name: string): string | undefined {
  const found = Object.keys(answer.headers).find((one) => one.toLowerCase() === name);
  return found === undefined ? undefined : answer.headers[found];
}

/** Nothing of an upstream is told to somebody without a key: no host of Azure's, none of its headers. */
function tellsNothing(answer: Answer): boolean {
  const said = answer.body + JSON.stringify(answer.headers);
  return !/azure\.com|azure-api\.net|apim-request-id|x-ms-|x-litellm-model-api-base/i.test(said);
}

/** How long it took until the environment was ready, in milliseconds: where nothing ran, a whole cold start. No bound holds for it. */
const readyAfter = new Gauge('ready_after');

/** Waits until the environment is ready at all; nothing of that counts as a call. */
export function setup(): void {
  const start = Date.now();
  const end = start + warmUpSeconds * 1000;
  for (;;) {
    const answer = http.get(`${settings.url}/health/readiness`, {
      timeout: '20s',
      responseCallback: http.expectedStatuses({ min: 100, max: 599 }),
    });
    if (answer.status === 200) {
      readyAfter.add(Date.now() - start);
      return;
    }
    if (Date.now() > end) throw new Error(`not ready after ${warmUpSeconds} s: ${answer.status}`);
    sleep(1);
  }
}

const steps: { readonly [name: string]: () => void } = {
  'nobody gets in without a key': () => {
    for (const given of [undefined, 'sk-smoke-no-such-key']) {
      const answer = ask({ path: '/v1/models', key: given, expected: 401 });
      check(answer, {
        'is refused with 401': ({ status }) => status === 401,
        "says so in OpenAI's form": (one) =>
          ['message', 'type', 'code'].every(
            (name) => typeof member(one, 'error', name) === 'string',
          ),
        'tells nothing of an upstream': tellsNothing,
      });
    }
  },

  'models are those of the environment': () => {
    const answer = ask({ path: '/v1/models', key });
    const data = member(answer, 'data');
    const names = Array.isArray(data) ? data.map(({ id }: { id: string }) => id) : [];
    check(answer, {
      'has every model': () => settings.models.every((name) => names.includes(name)),
    });
  },

  'responses are answered': () => {
    for (let round = 0; round < rounds; round += 1) {
      const body = { model: settings.responses, input: 'Say ok.', max_output_tokens: 16 };
      check(ask({ path: '/v1/responses', body, key, call: 'measured' }), {
        'is a response': (one) => one.status === 200 && member(one, 'object') === 'response',
        'has its usage': (one) => Number(member(one, 'usage', 'total_tokens')) > 0,
      });
    }
  },

  'embeddings are answered': () => {
    const body = { model: settings.embeddings, input: 'ok' };
    check(ask({ path: '/v1/embeddings', body, key, call: 'measured' }), {
      'has a vector': (one) => {
        const vector = member(one, 'data', 0, 'embedding');
        return Array.isArray(vector) && vector.length > 0;
      },
      'has its usage': (one) => Number(member(one, 'usage', 'total_tokens')) > 0,
    });
  },

  'chats are answered': () => {
    const body = {
      model: settings.chat,
      messages: [{ role: 'user', content: 'Say ok.' }],
      max_completion_tokens: 16,
    };
    const whole = ask({ path: '/v1/chat/completions', body, key, call: 'measured' });
    check(whole, {
      'is an answer': (one) => typeof member(one, 'choices', 0, 'finish_reason') === 'string',
      'has its usage': (one) => Number(member(one, 'usage', 'total_tokens')) > 0,
      'has the id by which it is found in the log': (one) =>
        (header(one, 'x-request-id') ?? '') !== '',
    });
    if (revision !== '') {
      check(whole, {
        'comes from the revision that was deployed': (one) =>
          (header(one, 'x-litellm-version') ?? '').endsWith(`+${revision}`),
      });
    }
    for (let round = 0; round < rounds; round += 1) {
      const streamed = ask({
        path: '/v1/chat/completions',
        body: { ...body, stream: true, stream_options: { include_usage: true } },
        key,
        call: 'stream',
      });
      const events = streamed.body.split('\n\n').filter((event) => event.startsWith('data: '));
      check(streamed, {
        'is a stream of events': (one) =>
          (header(one, 'content-type') ?? '').startsWith('text/event-stream') && events.length > 2,
        'tells its usage': () => events.some((event) => /"total_tokens":\s*[1-9]/.test(event)),
        'comes to its end': () => events.at(-1)?.trim() === 'data: [DONE]',
      });
    }
  },

  'a limit refuses, and says when to come again': () => {
    if (!settings.limits) return;
    let answer: Answer | undefined;
    for (let call = 0; call < mostLimitedCalls && answer?.status !== 429; call += 1) {
      const body = { model: settings.embeddings, input: 'ok' };
      answer = ask({ path: '/v1/embeddings', body, key: limitedKey, expected: 429 });
    }
    check(answer!, {
      'is refused with 429': ({ status }) => status === 429,
      'names whole seconds': (one) => /^[1-9]\d*$/.test(header(one, 'retry-after') ?? ''),
    });
  },

  'nobody manages without being somebody': () => {
    const expected = settings.management === 'open' ? 401 : 404;
    for (const given of [undefined, 'sk-smoke-no-such-key']) {
      const answer = ask({ path: '/key/list', key: given, expected });
      check(answer, {
        [`is refused with ${expected}`]: ({ status }) => status === expected,
        'tells nothing of an upstream': tellsNothing,
      });
    }
  },
};

export default function smoke(): void {
  for (const [name, step] of Object.entries(steps)) group(name, step);
}

type Group = {
  readonly name: string;
  readonly groups: readonly Group[];
  readonly checks: readonly {
    readonly name: string;
    readonly passes: number;
    readonly fails: number;
  }[];
};

type Summary = {
  readonly root_group: Group;
  readonly metrics: {
    readonly [name: string]: {
      readonly values: { readonly [name: string]: number };
      readonly thresholds?: { readonly [name: string]: { readonly ok: boolean } };
    };
  };
};

/** The same as Markdown for people and, where `SMOKE_SUMMARY` names one, for a file. */
export function handleSummary(summary: Summary): { [file: string]: string } {
  const lines = [`## Smoke of ${settings.url}`, ''];
  const waited = summary.metrics[readyAfter.name]?.values['value'];
  if (waited !== undefined)
    lines.push(`- ready after ${(waited / 1000).toFixed(1)} s, from nothing where no replica ran`);
  for (const { name, checks } of summary.root_group.groups) {
    const failed = checks.filter(({ fails }) => fails > 0);
    const outcome =
      checks.length === 0 ? 'not tried here' : failed.length === 0 ? 'ok' : '**failed**';
    lines.push(`- ${outcome}: ${name}`);
    for (const one of failed)
      lines.push(`  - ${one.name}: ${one.fails} of ${one.fails + one.passes} times not`);
  }
  for (const [metric, { thresholds = {}, values }] of Object.entries(summary.metrics)) {
    if (metric === 'checks') continue;
    for (const [bound, { ok }] of Object.entries(thresholds)) {
      const [measured = 0] = Object.entries(values).flatMap(([name, value]) =>
        bound.startsWith(name) ? [value] : [],
      );
      lines.push(
        `- ${ok ? 'ok' : '**failed**'}: ${metric} ${bound} ms (${measured.toFixed(0)} ms)`,
      );
    }
  }
  const text = `${lines.join('\n')}\n`;
  const file = __ENV['SMOKE_SUMMARY'];
  return { stdout: text, ...(file && { [file]: text }) };
}
