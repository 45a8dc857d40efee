import type { ApiDocument } from './document.ts';
import type { Exchange, Models } from './exchanges.ts';
import { parseEvents } from './server-events.ts';
import type { Validator } from './validator.ts';
import type { Violation } from './violation.ts';

/** Whom to ask. */
export type Target = {
  /** Address that the document's paths are appended to. */
  baseUrl: string;
  headers: (key: 'right' | 'wrong') => Readonly<Record<string, string>>;
  models: Models;
};

/** What became of one exchange. */
export type Outcome = {
  exchange: string;
  /** Answers and events that were held against a schema; 0 when the document has none, or not the operation. */
  checked: number;
  /** Why nothing was checked. */
  left?: string;
  violations: Violation[];
};

const answerLimitMs = 60_000;
const unknownModel = 'no-such-model';
/** The last event of a Responses stream. */
const ends = new Set(['response.completed', 'response.incomplete', 'response.failed']);

/** Sends the exchanges one after the other and holds every answer and event against the document. */
export async function runExchanges(
  exchanges: readonly Exchange[],
  document: ApiDocument,
  target: Target,
  validate: Validator,
): Promise<Outcome[]> {
  const kept = new Map<string, string>();
  const outcomes: Outcome[] = [];
  for (const exchange of exchanges) {
    outcomes.push(await runExchange(exchange, document, target, validate, kept));
  }
  return outcomes;
}

async function runExchange(
  exchange: Exchange,
  document: ApiDocument,
  target: Target,
  validate: Validator,
  kept: Map<string, string>,
): Promise<Outcome> {
  const { name, method, stream = false } = exchange;
  const outcome: Outcome = { exchange: name, checked: 0, violations: [] };
  const wrong = (at: string, message: string): void => {
    outcome.violations.push({ exchange: name, at, message });
  };
  const path = document.findPath(method, exchange.path);
  if (path === undefined) return { ...outcome, left: 'the document has no such operation' };
  const needed = exchange.needs === undefined ? '' : kept.get(exchange.needs);
  if (needed === undefined) return { ...outcome, left: 'an exchange before it gave no id' };

  const response = await ask(exchange, path, document, target, needed);
  const text = await response.text();
  if (response.status !== exchange.status) {
    wrong('$', `status ${response.status} instead of ${exchange.status}: ${text.slice(0, 300)}`);
    return outcome;
  }
  const type = response.headers.get('content-type') ?? 'none';
  const wanted = stream ? 'text/event-stream' : 'application/json';
  if (!type.startsWith(wanted)) {
    wrong('$', `content type ${type} instead of ${wanted}`);
    return outcome;
  }
  const schema = document.answerSchema(method, path, exchange.status, stream);
  if (schema === undefined) outcome.left = 'the document has no schema for its answer';
  const check = (value: unknown): void => {
    if (schema === undefined) return;
    outcome.checked += 1;
    for (const { at, message } of validate(schema, value)) wrong(at, message);
  };
  if (stream) {
    for (const { at, message } of checkStream(text, exchange.path === '/responses', check)) {
      wrong(at, message);
    }
    return outcome;
  }
  const answer = JSON.parse(text) as { id?: unknown };
  if (exchange.keeps !== undefined && typeof answer.id === 'string') {
    kept.set(exchange.keeps, answer.id);
  }
  check(answer);
  return outcome;
}

function ask(
  exchange: Exchange,
  path: string,
  document: ApiDocument,
  target: Target,
  needed: string,
): Promise<Response> {
  const { model, body } = exchange;
  const name = model === 'unknown' ? unknownModel : model && target.models[model];
  const filled = path
    .replace('{deployment-id}', encodeURIComponent(name ?? ''))
    .replace('{response_id}', encodeURIComponent(needed));
  const query = document.apiVersion ? `?api-version=${document.apiVersion}` : '';
  const previous = needed && !path.includes('{response_id}');
  const sent = body && {
    ...body,
    ...(path.includes('{deployment-id}') ? {} : { model: name }),
    ...(previous ? { previous_response_id: needed } : {}),
  };
  return fetch(`${target.baseUrl}${filled}${query}`, {
    method: exchange.method.toUpperCase(),
    headers: {
      ...target.headers(exchange.wrongKey ? 'wrong' : 'right'),
      ...(sent ? { 'content-type': 'application/json' } : {}),
    },
    ...(sent ? { body: JSON.stringify(sent) } : {}),
    signal: AbortSignal.timeout(answerLimitMs),
  });
}

/** Checks each event, and that the stream comes to its proper end: a `[DONE]`, or a last event of a response. */
function checkStream(
  text: string,
  isResponse: boolean,
  check: (event: unknown) => void,
): Omit<Violation, 'exchange'>[] {
  const found: Omit<Violation, 'exchange'>[] = [];
  const events = parseEvents(text);
  const last = events.at(-1);
  if (!isResponse) {
    if (last?.data !== '[DONE]') found.push({ at: '$', message: 'the stream has no [DONE]' });
    for (const { data } of events) if (data !== '[DONE]') check(JSON.parse(data));
    return found;
  }
  let previous = -1;
  for (const { event, data } of events) {
    const value = JSON.parse(data) as { type?: unknown; sequence_number?: unknown };
    check(value);
    if (event !== value.type) {
      found.push({ at: '$.type', message: `event ${event} carries type ${String(value.type)}` });
    }
    if (value.sequence_number !== previous + 1) {
      const message = `number ${String(value.sequence_number)} follows ${previous}`;
      found.push({ at: '$.sequence_number', message });
    }
    previous += 1;
  }
  if (!ends.has(last?.event ?? '')) {
    found.push({ at: '$', message: `the stream ends with ${last?.event ?? 'nothing'}` });
  }
  return found;
}
