import { readFileSync } from 'node:fs';
import type { FailureClass, JsonObject, JsonValue, Operation } from '@aigateway/contract/records';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  classifyFailure,
  classifyStreamError,
  failureOfTransport,
  toCallerError,
  type FailureContext,
  type FailureKind,
} from './failure.ts';
import type { RefusedParameter } from './refused-parameter.ts';
import type { TransportErrorKind } from './transport.ts';

type Answer = {
  name: string;
  operation?: Operation;
  capacity?: 'ptu' | 'standard';
  status: number;
  headers?: Record<string, string>;
  body: JsonValue;
  kind: FailureKind;
  waitMs?: number | null;
  renew?: boolean;
  refused?: RefusedParameter;
};

function fixture<T>(name: string): T[] {
  const url = new URL(`../../test/fixtures/errors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as T[];
}

const answers = fixture<Answer>('answers');
const streamEvents = fixture<{
  name: string;
  event: JsonObject;
  kind: FailureKind;
  status: number;
  waitMs: number | null;
}>('stream-events');

const context: FailureContext = {
  capability: 'chat',
  capacity: 'standard',
  now: 1_794_300_000_000,
};

function classify(answer: Answer, change: Partial<FailureContext> = {}) {
  const { operation = 'chat', capacity = 'standard' } = answer;
  const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
  return classifyFailure(answer.status, answer.headers ?? {}, body, {
    ...context,
    capability: operation,
    capacity,
    ...change,
  });
}

function answerNamed(name: string): Answer {
  const answer = answers.find((candidate) => candidate.name === name);
  if (answer === undefined) throw new Error(`no fixture "${name}"`);
  return answer;
}

describe('classifyFailure', () => {
  it.each(answers.map((answer) => [answer.name, answer] as const))(
    'understands: %s',
    (_, answer) => {
      const failure = classify(answer);
      expect(failure.kind).toBe(answer.kind);
      expect(failure.status).toBe(answer.status);
      if (answer.waitMs !== undefined) expect(failure.waitMs).toBe(answer.waitMs);
      expect(failure.renew).toBe(answer.renew);
      expect(failure.refused).toEqual(answer.refused);
    },
  );

  it('takes a complaint about a compaction trigger for one that does not know it, where one was asked for', () => {
    const error = {
      message: "Invalid value: 'compaction_trigger'. Supported values are: 'message'.",
      code: 'invalid_value',
      param: 'input[1].type',
    };
    const kindFor = (capability: FailureContext['capability']) =>
      classifyFailure(400, {}, JSON.stringify({ error }), { ...context, capability }).kind;
    expect(kindFor('responses.compaction_trigger')).toBe('operation_unsupported');
    expect(kindFor('responses')).toBe('bad_request');
  });

  it('blames the backend for its own faults and never for those of a request', () => {
    const blamed = new Set(
      answers.map((answer) => classify(answer)).flatMap(({ blame, kind }) => (blame ? [kind] : [])),
    );
    expect([...blamed].toSorted()).toEqual([
      'auth',
      'capacity_exhausted',
      'deployment_missing',
      'network_refused',
      'no_capacity',
      'quota_exhausted',
      'rate_limited',
      'resource_blocked',
      'timeout',
      'unavailable',
    ]);
  });

  it('does not blame the backend for a missing deployment that a caller made up', () => {
    const missing = answerNamed('deployment missing');
    expect(classify(missing, { isWildcard: true }).blame).toBe(false);
  });

  it.each<[FailureKind, string]>([
    ['content_filter', 'never'],
    ['context_window', 'never'],
    ['bad_request', 'never'],
    ['ptu_context_window', 'other-deployment'],
    ['operation_unsupported', 'other-deployment'],
    ['auth', 'other-deployment'],
    ['network_refused', 'other-deployment'],
    ['deployment_missing', 'other-deployment'],
    ['parameter_unsupported', 'repaired'],
    ['unknown_parameter', 'repaired'],
    ['encrypted_content', 'repaired'],
    ['rate_limited', 'same-or-other'],
    ['capacity_exhausted', 'same-or-other'],
    ['unavailable', 'same-or-other'],
    ['timeout', 'same-or-other'],
  ])('advises on %s: %s', (kind, retry) => {
    const found = answers
      .map((answer) => classify(answer))
      .filter((failure) => failure.kind === kind);
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found.map((failure) => failure.retry))).toEqual(new Set([retry]));
  });

  it.each<[string, FailureClass]>([
    ['plain bad request', 'BadRequestError'],
    ['wrong key', 'AuthenticationError'],
    ['deployment missing', 'NotFoundError'],
    ['timed out upstream', 'TimeoutError'],
    ['PTU full', 'RateLimitError'],
    ['content filter, chat', 'ContentPolicyViolationError'],
    ['internal error', 'InternalServerError'],
    ['HTML of a proxy', 'BadGatewayError'],
    ['unavailable', 'ServiceUnavailableError'],
  ])('counts "%s" as %s', (name, failureClass) => {
    expect(classify(answerNamed(name)).failureClass).toBe(failureClass);
  });

  it('takes any status and any body', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 300, max: 599 }),
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((json) => `{"error":${json}}`),
        ),
        (status, body) => {
          const failure = classifyFailure(status, {}, body, context);
          const { status: shown, body: envelope } = toCallerError(failure, {
            sanitiseContentFilter: true,
          });
          expect(shown).toBeGreaterThanOrEqual(400);
          expect(shown).not.toBe(401);
          expect(shown).not.toBe(403);
          expect(typeof envelope.error.message).toBe('string');
          expect(envelope.error.message).not.toBe('');
          expect(Object.keys(envelope.error).toSorted()).toEqual([
            'code',
            'message',
            'param',
            'type',
          ]);
        },
      ),
    );
  });

  it('finds no parameter where the upstream named none that could be one', () => {
    const failure = classifyFailure(
      400,
      {},
      JSON.stringify({ error: { code: 'unsupported_parameter', message: 'no', param: 'a b"' } }),
      context,
    );
    expect(failure).toMatchObject({ kind: 'bad_request', retry: 'never' });
  });
});

describe('classifyStreamError', () => {
  it.each(streamEvents.map((event) => [event.name, event] as const))(
    'understands: %s',
    (_, expected) => {
      for (const event of [expected.event, JSON.stringify(expected.event)]) {
        expect(classifyStreamError(event, context)).toMatchObject({
          kind: expected.kind,
          status: expected.status,
          waitMs: expected.waitMs,
        });
      }
    },
  );

  it.each([
    '{"type":"response.created","response":{"error":null}}',
    '{"type":"response.output_text.delta","delta":"{\\"error\\":1}"}',
    '{"choices":[{"delta":{"content":"error"}}],"error":null}',
    '[DONE]',
    '',
    '[]',
    '{',
  ])('takes %s for no error', (event) => {
    expect(classifyStreamError(event, context)).toBeNull();
  });

  it.each([{ toString: null, valueOf: null }, [503], true, 'soon', 42, null])(
    'goes by what else an error says where its status is %j',
    (status) => {
      const error = { status, code: 'rate_limit_exceeded' };
      expect(classifyStreamError({ error }, context)).toMatchObject({ status: 429 });
    },
  );
});

describe('failureOfTransport', () => {
  it.each<[TransportErrorKind, FailureKind, boolean]>([
    ['connect', 'unreachable', true],
    ['connect-timeout', 'timeout', true],
    ['reset', 'unreachable', true],
    ['headers-timeout', 'timeout', true],
    ['body-timeout', 'timeout', true],
    ['protocol', 'unreachable', true],
    ['aborted', 'aborted', false],
    ['handler', 'aborted', false],
    ['request', 'aborted', false],
  ])('counts %s as %s', (kind, expected, blame) => {
    expect(failureOfTransport({ kind, reusedSocket: false })).toMatchObject({
      kind: expected,
      blame,
      status: 0,
    });
  });
});

describe('toCallerError', () => {
  it("does not show an upstream's type beside a status that is not the upstream's", () => {
    const body = '{"error":{"message":"no room","type":"invalid_request_error","code":null}}';
    const failure = classifyFailure(424, {}, body, context);
    expect(toCallerError(failure, { sanitiseContentFilter: false })).toMatchObject({
      status: 502,
      body: { error: { type: 'internal_server_error' } },
    });
  });

  function shown(name: string, sanitiseContentFilter = false) {
    return toCallerError(classify(answerNamed(name)), { sanitiseContentFilter, model: 'chat' });
  }

  it.each<[string, number, string | null, string]>([
    ['plain bad request', 400, null, 'invalid_request_error'],
    ['renamed parameter', 400, 'unsupported_parameter', 'invalid_request_error'],
    ['too long for the model', 400, 'context_length_exceeded', 'invalid_request_error'],
    ['chat on a codex model', 400, 'OperationNotSupported', 'invalid_request_error'],
    ['responses unknown to the api-version', 400, 'OperationNotSupported', 'invalid_request_error'],
    ['item elsewhere', 404, null, 'invalid_request_error'],
    ['conflict', 409, 'conflict', 'invalid_request_error'],
    ['body too large', 413, 'RequestEntityTooLarge', 'invalid_request_error'],
    ['other schema error', 422, 'missing', 'invalid_request_error'],
    ['tokens per minute, wording until 2025', 429, 'rate_limit_exceeded', 'throttling_error'],
    ['tokens per minute, wording of 2026', 429, 'rate_limit_exceeded', 'too_many_requests'],
    ['free tier used up', 429, 'rate_limit_exceeded', 'throttling_error'],
    ['too many headers', 431, null, 'invalid_request_error'],
    ['internal error', 500, 'InternalServerError', 'server_error'],
    ['HTML of a proxy', 502, 'upstream_error', 'internal_server_error'],
    ['unavailable', 503, 'ServiceUnavailable', 'internal_server_error'],
    ['empty gateway timeout', 504, 'upstream_timeout', 'internal_server_error'],
    ['timed out upstream', 504, 'upstream_timeout', 'internal_server_error'],
    ['a redirect', 502, 'upstream_error', 'internal_server_error'],
    ['wrong key', 502, 'upstream_auth', 'internal_server_error'],
    ['token expired, the shape without error', 502, 'upstream_auth', 'internal_server_error'],
    ['keys disabled by policy', 502, 'upstream_auth', 'internal_server_error'],
    ['firewall', 502, 'upstream_error', 'internal_server_error'],
    ['suspended', 502, 'upstream_error', 'internal_server_error'],
    ['deployment missing', 404, 'model_not_found', 'invalid_request_error'],
    ['path or api-version unknown', 502, 'upstream_error', 'internal_server_error'],
    ['api-version too old for the model', 502, 'upstream_error', 'internal_server_error'],
  ])('answers "%s" with %i, code %s, type %s', (name, status, code, type) => {
    const error = shown(name);
    expect(error.status).toBe(status);
    expect(error.body.error).toMatchObject({ code, type });
  });

  it.each([407, 421, 426])(
    'keeps status %i, which is between the gateway and what stands before the upstream, to itself',
    (status) => {
      const error = { message: 'no', status };
      for (const failure of [
        classifyFailure(status, {}, JSON.stringify({ error }), context),
        classifyStreamError({ error }, context)!,
      ]) {
        expect(failure).toMatchObject({ kind: 'network_refused', status });
        expect(toCallerError(failure, { sanitiseContentFilter: false }).status).toBe(502);
      }
    },
  );

  it('keeps Azure’s filter details unless they are to be sanitised away', () => {
    for (const [name, field] of [
      ['content filter, chat', 'innererror'],
      ['content filter, responses', 'content_filters'],
      ["content filter, the specification's spelling", 'inner_error'],
    ] as const) {
      const open = shown(name);
      expect(open.body.error).toHaveProperty(field);
      const sanitised = shown(name, true);
      expect(sanitised.status).toBe(400);
      expect(Object.keys(sanitised.body.error).toSorted()).toEqual([
        'code',
        'message',
        'param',
        'type',
      ]);
      expect(sanitised.body.error).toMatchObject({
        code: 'content_filter',
        type: 'invalid_request_error',
      });
    }
    expect(shown('safety system, images', true).body.error.code).toBe('content_policy_violation');
  });

  it.each([
    ['too long for the model', 'ContextWindowExceededError'],
    ['content filter, chat', 'ContentPolicyViolationError'],
    ['without headers', 'RateLimitError'],
  ])('names "%s" in the word that LiteLLM’s callers look for', (name, word) => {
    expect(shown(name).body.error.message).toContain(word);
  });

  it('shows neither host, GUID, deployment, region nor principal of any sample', () => {
    for (const answer of answers) {
      const failure = classify(answer, { names: { deployment: 'gpt-4o-std', model: 'chat' } });
      const text = JSON.stringify(toCallerError(failure, { sanitiseContentFilter: false }));
      expect(text).not.toMatch(/gpt-4o-std|East US|eastus|00000000-0000|cognitiveservices\.azure/);
    }
  });

  it('shows no code, type or parameter that is more than a word', () => {
    const error = { message: 'no', code: 'https://contoso', type: 'x'.repeat(200), param: 'a\nb' };
    const failure = classifyFailure(400, {}, JSON.stringify({ error }), context);
    expect(failure).toMatchObject({ code: null, type: null, param: null });
  });

  it('leaves the hint on when to come back in the message, where some clients read it', () => {
    expect(shown('API Management in front').body.error.message).toContain(
      'Try again in 42 seconds',
    );
  });
});
