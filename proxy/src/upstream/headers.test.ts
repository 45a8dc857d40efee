import type { DeploymentRecord, SettingsRecord } from '@aigateway/contract/records';
import fc from 'fast-check';
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, it } from 'vitest';
import { callerHeaders, upstreamHeaders, type UpstreamHeaderInput } from './headers.ts';

function deployment(headers: Record<string, string> = {}): DeploymentRecord {
  return { id: 'd1', headers } as unknown as DeploymentRecord;
}

function settings(forwardHeaders: string[] = [], keyHeader?: string): SettingsRecord {
  return { forwardHeaders, keyHeader } as unknown as SettingsRecord;
}

function sent(
  caller: IncomingHttpHeaders,
  change: Partial<UpstreamHeaderInput> = {},
  own: SettingsRecord = settings(),
): Record<string, string> {
  const flat = upstreamHeaders(own, {
    caller,
    deployment: deployment(),
    credential: { name: 'api-key', value: 'upstream-key' },
    requestId: 'req-1',
    hasBody: true,
    ...change,
  });
  return toRecord(flat);
}

function toRecord(flat: string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let at = 0; at < flat.length; at += 2) {
    const name = flat[at] as string;
    expect(record, `${name} twice`).not.toHaveProperty(name);
    record[name] = flat[at + 1] as string;
  }
  return record;
}

describe('upstreamHeaders', () => {
  it('sends content type, accept, one credential, the request id and the trace', () => {
    expect(
      sent({
        accept: 'text/event-stream',
        'content-type': 'application/json; charset=utf-8',
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        tracestate: 'a=b',
      }),
    ).toEqual({
      'content-type': 'application/json',
      accept: 'text/event-stream',
      'api-key': 'upstream-key',
      'x-ms-client-request-id': 'req-1',
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      tracestate: 'a=b',
    });
  });

  it('sends no content type without a body, no credential where there is none', () => {
    expect(sent({}, { hasBody: false, credential: null })).toEqual({
      'x-ms-client-request-id': 'req-1',
    });
  });

  it('prefers the gateway’s own span to the caller’s', () => {
    expect(sent({ traceparent: 'theirs' }, { traceparent: 'ours' })['traceparent']).toBe('ours');
  });

  it('passes nothing of a usual SDK but what the list names, even when configuration asks for it', () => {
    const caller = {
      authorization: 'Bearer sk-caller',
      'api-key': 'sk-caller',
      'x-api-key': 'sk-caller',
      'x-gateway-key': 'sk-caller',
      'x-litellm-api-key': 'sk-caller',
      'x-team-key': 'sk-caller',
      'ocp-apim-subscription-key': 'sk-caller',
      cookie: 'session=1',
      connection: 'keep-alive',
      'transfer-encoding': 'chunked',
      'proxy-authorization': 'x',
      'x-stainless-lang': 'js',
      'x-stainless-retry-count': '0',
      'x-ms-spillover-deployment': 'other',
      'x-ms-client-request-id': 'theirs',
      session_id: 's',
      'accept-encoding': 'gzip, br',
      'x-forwarded-for': '10.0.0.1',
      'openai-beta': 'realtime=v1',
      'user-agent': 'OpenAI/JS',
      host: 'gateway',
      'content-length': '12',
    };
    const allAsked = settings(
      Object.keys(caller).filter((name) => name !== 'openai-beta' && name !== 'user-agent'),
      'X-Team-Key',
    );
    expect(sent(caller, {}, allAsked)).toEqual({
      'content-type': 'application/json',
      'api-key': 'upstream-key',
      'x-ms-client-request-id': 'req-1',
    });
  });

  it('forwards what configuration names, the deployment’s own header first', () => {
    expect(
      sent(
        { 'openai-beta': 'x=1', 'x-both': 'caller', 'x-long': 'v'.repeat(5000), 'x-plain': '1' },
        { deployment: deployment({ 'X-Both': 'deployment', 'extra-parameters': 'x-plain' }) },
        settings(['OpenAI-Beta', 'x-both', 'x-long', 'x-absent', 'x-plain']),
      ),
    ).toEqual({
      'content-type': 'application/json',
      'api-key': 'upstream-key',
      'x-ms-client-request-id': 'req-1',
      'x-both': 'deployment',
      'extra-parameters': 'x-plain',
      'x-plain': '1',
      'openai-beta': 'x=1',
    });
  });

  it('sets one credential even when the deployment’s headers hold another', () => {
    const own = deployment({
      'Api-Key': 'configured',
      connection: 'close',
      host: 'x',
      'x-bad': 'a\r\nb: c',
    });
    expect(sent({}, { deployment: own })).toEqual({
      'content-type': 'application/json',
      'api-key': 'upstream-key',
      'x-ms-client-request-id': 'req-1',
    });
  });

  it('never sends more than ten custom headers', () => {
    const names = Array.from({ length: 30 }, (_, at) => `x-h${at}`);
    const caller = Object.fromEntries(names.map((name) => [name, '1']));
    const headers = sent(
      { ...caller, traceparent: 't', tracestate: 's', accept: '*/*' },
      { deployment: deployment(Object.fromEntries(names.slice(0, 5).map((name) => [name, '2']))) },
      settings(names),
    );
    const standard = ['content-type', 'accept', 'api-key'];
    const custom = Object.keys(headers).filter((name) => !standard.includes(name));
    expect(custom).toHaveLength(10);
    expect(custom).toEqual(
      expect.arrayContaining(['traceparent', 'tracestate', 'x-h4', 'x-h5', 'x-h6']),
    );
  });
});

const answer = {
  'content-type': 'application/json',
  'content-length': '100',
  'transfer-encoding': 'chunked',
  connection: 'keep-alive',
  'set-cookie': ['a=b'],
  'apim-request-id': 'apim',
  'x-request-id': 'backend',
  'x-ms-client-request-id': 'req-1',
  'x-ms-region': 'East US 2',
  'x-ms-deployment-name': 'gpt-4o-ptu',
  'x-ms-spillover-from-deployment': 'gpt-4o-ptu',
  'x-ratelimit-remaining-tokens': '5',
  'retry-after-ms': '1480',
  'retry-after': '2',
  'openai-processing-ms': '12',
  'azure-openai-deployment-utilization': '53.1%',
  'strict-transport-security': 'max-age=1',
  server: 'x',
};

describe('callerHeaders', () => {
  it('shows request ids, limits and timings to everybody', () => {
    const headers = callerHeaders(answer, {
      expose: false,
      body: 'upstream',
      rateLimits: 'upstream',
    });
    expect(toRecord(headers)).toEqual({
      'content-type': 'application/json',
      'apim-request-id': 'apim',
      'x-upstream-request-id': 'backend',
      'x-ratelimit-remaining-tokens': '5',
      'retry-after-ms': '1480',
      'retry-after': '2',
      'openai-processing-ms': '12',
      'azure-openai-deployment-utilization': '53.1%',
    });
  });

  it('shows no content type and wait beside a body of the gateway’s own, nor limits beside its own', () => {
    const headers = callerHeaders(answer, { expose: false, body: 'own', rateLimits: 'own' });
    expect(toRecord(headers)).toEqual({
      'apim-request-id': 'apim',
      'x-upstream-request-id': 'backend',
      'openai-processing-ms': '12',
      'azure-openai-deployment-utilization': '53.1%',
    });
  });

  it('shows region, deployment, spillover and LiteLLM’s copies only to callers who may know', () => {
    const headers = toRecord(
      callerHeaders(answer, { expose: true, body: 'upstream', rateLimits: 'upstream' }),
    );
    expect(headers).toMatchObject({
      'x-ms-region': 'East US 2',
      'x-ms-deployment-name': 'gpt-4o-ptu',
      'x-ms-spillover-from-deployment': 'gpt-4o-ptu',
      'llm_provider-x-ms-region': 'East US 2',
      'llm_provider-apim-request-id': 'apim',
      'llm_provider-server': 'x',
    });
    for (const name of ['set-cookie', 'connection', 'transfer-encoding', 'content-length']) {
      expect(headers).not.toHaveProperty(name);
      expect(headers).not.toHaveProperty(`llm_provider-${name}`);
    }
  });

  it('never passes a value that could end a header line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), (value, expose) => {
        const flat = callerHeaders(
          {
            'x-ratelimit-limit-tokens': value,
            'apim-request-id': value,
            [`x-ratelimit-${value}`]: 'x',
          },
          { expose, body: 'upstream', rateLimits: 'upstream' },
        );
        for (const text of flat) {
          expect(text).toMatch(/^[\t\x20-\x7e\x80-\xff]*$/);
        }
      }),
    );
  });
});
