import type { JsonObject } from '@aigateway/contract/records';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bridged, contextOf, dataOf, fixture } from '../../test/fixtures/bridge/replay.ts';
import type { BridgeContext } from './bridge.ts';
import { compactOverResponses } from './compaction.ts';
import { bridgeFor, reachable } from './index.ts';
import { expandSummaries, openSummary, sealSummary, summaryInstruction } from './summary.ts';

const user = (text: string): JsonObject => ({
  type: 'message',
  role: 'user',
  content: [{ type: 'input_text', text }],
});

function response(text: string, more: JsonObject = {}): JsonObject {
  return {
    id: 'resp_upstream',
    object: 'response',
    status: 'completed',
    incomplete_details: null,
    model: 'deployment',
    output: [
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'hm' }] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text }] },
    ],
    usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15 },
    ...more,
  };
}

describe('a summary', () => {
  it('can be read again whatever it says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(openSummary(sealSummary(text))).toBe(text.toWellFormed());
      }),
    );
  });

  it('is not seen in what an upstream sealed, nor in anything else', () => {
    for (const content of ['gAAAAABo', '', null, 1, undefined, {}]) {
      expect(openSummary(content)).toBeUndefined();
    }
  });

  it('takes the place of its compaction as a message of the user, who gives it no more weight than it had', () => {
    const native = { type: 'compaction', encrypted_content: 'gAAAA' };
    const expanded = expandSummaries({
      model: 'm',
      input: [
        { type: 'compaction', id: 'cmp_1', encrypted_content: sealSummary('Tea.') },
        native,
        user('Go on.'),
        'odd',
      ],
    });
    expect(expanded?.['input']).toEqual([
      {
        type: 'message',
        role: 'user',
        content: [{ type: 'input_text', text: expect.stringMatching(/\n\nTea\.$/) as string }],
      },
      native,
      user('Go on.'),
      'odd',
    ]);
  });

  it('leaves requests alone that hold none', () => {
    for (const input of ['text', null, [], [user('x')]]) {
      expect(expandSummaries({ input })).toBeUndefined();
    }
  });
});

describe('a compaction over another operation', () => {
  it.each(['responses.compact', 'responses.compaction_trigger'] as const)(
    'reaches responses before chat from %s',
    (from) => {
      expect(reachable(from)).toEqual([from, 'responses', 'chat']);
    },
  );

  it('asks for a summary at the end of the same conversation and offers nothing else to do', () => {
    const request: JsonObject = {
      model: 'm',
      instructions: 'You are Codex.',
      input: [user('Tea.'), { type: 'compaction_trigger' }],
      tools: [{ type: 'web_search' }],
      tool_choice: 'required',
      parallel_tool_calls: true,
      text: { format: { type: 'json_object' } },
      stream: true,
      store: true,
      previous_response_id: 'resp_1',
      prompt_cache_key: 'k',
    };
    const { body, dropped } = compactOverResponses.request(request, contextOf(request));
    expect(body).toEqual({
      model: 'm',
      instructions: 'You are Codex.',
      input: [user('Tea.'), user(summaryInstruction)],
      max_output_tokens: 4096,
      store: false,
      previous_response_id: 'resp_1',
      prompt_cache_key: 'k',
    });
    expect(dropped).toEqual(['tools', 'tool_choice', 'parallel_tool_calls', 'text']);
  });

  it('takes a text for the conversation', () => {
    const request = { model: 'm', input: 'Tea.' };
    const chat = bridgeFor('responses.compact', 'chat')!.request(request, contextOf(request));
    expect(chat.body).toEqual({
      model: 'm',
      messages: [
        { role: 'user', content: 'Tea.' },
        { role: 'user', content: summaryInstruction },
      ],
      max_completion_tokens: 4096,
    });
  });

  it.each<[string, BridgeContext['deployment'], JsonObject, number]>([
    ['a plain model', { family: 'standard', facts: {} }, {}, 4096],
    ['a model that reasons', { family: 'reasoning', facts: {} }, {}, 16_384],
    ['an unknown model, asked to reason', { facts: {} }, { reasoning: { effort: 'low' } }, 16_384],
    ['a model that gives less', { facts: { maxOutputTokens: 2048 } }, {}, 2048],
    ['a caller who wants less', { facts: {} }, { max_output_tokens: 100 }, 100],
  ])('is bounded for %s', (_, deployment, more, expected) => {
    const request = { model: 'm', input: 'x', ...more };
    const context = { ...contextOf(request), deployment };
    expect(compactOverResponses.request(request, context).body).toMatchObject({
      max_output_tokens: expected,
    });
  });

  it('is exactly one item with the usage of the summary', () => {
    const compacted = compactOverResponses.response(response('Tea.'), contextOf({}));
    expect(compacted).toEqual({
      id: 'resp_r1',
      object: 'response.compaction',
      created_at: 1794301200,
      output: [{ id: 'cmp_r1', type: 'compaction', encrypted_content: sealSummary('Tea.') }],
      usage: { input_tokens: 10, output_tokens: 5, total_tokens: 15 },
    });
  });

  it('is made of a summary that was cut at its limit, but not of one that a filter cut', () => {
    const cut = (reason: string) =>
      response('Tea', { status: 'incomplete', incomplete_details: { reason } });
    const whole = compactOverResponses.response(cut('max_output_tokens'), contextOf({}));
    expect(whole['output']).toHaveLength(1);
    expect(() => compactOverResponses.response(cut('content_filter'), contextOf({}))).toThrow(
      expect.objectContaining({ code: 'upstream_error' }),
    );
  });

  it.each<[string, JsonObject]>([
    ['nothing', response('')],
    ['white space', response(' \n')],
    ['a failure', { status: 'failed', error: { code: 'server_error' } }],
    ['a refusal', response('', { output: [{ type: 'message', content: [{ type: 'refusal' }] }] })],
  ])('is an error when the answer is %s', (_, answer) => {
    expect(() => compactOverResponses.response(answer, contextOf({}))).toThrow(
      expect.objectContaining({ code: 'upstream_error' }),
    );
  });
});

describe('a turn that compacts', () => {
  const request = { model: 'm', input: [user('Tea.'), { type: 'compaction_trigger' }] };

  it.each(['chat', 'responses'] as const)('streams one whole item over %s', (upstream) => {
    const bridge = bridgeFor('responses.compaction_trigger', upstream)!;
    const text = bridged(bridge, contextOf(request), [Buffer.from(fixture(upstream, 'text'))]);
    const events = dataOf(text) as JsonObject[];
    expect(events.map(({ type }) => type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.output_item.done',
      'response.completed',
    ]);
    expect(events.map((event) => event['sequence_number'])).toEqual([0, 1, 2, 3, 4]);
    const item = {
      id: 'cmp_r1',
      type: 'compaction',
      encrypted_content: sealSummary('Air molecules scatter blue light. Ø🌍'),
    };
    expect(events[3]).toMatchObject({ output_index: 0, item });
    expect(events[4]).toMatchObject({
      response: {
        id: 'resp_r1',
        model: 'alias',
        status: 'completed',
        store: false,
        output: [item],
      },
    });
  });

  it.each([
    ['chat', 'cut', 'stream_interrupted'],
    ['chat', 'filtered', 'upstream_error'],
    ['responses', 'cut', 'stream_interrupted'],
    ['responses', 'tool-done-only', 'upstream_error'],
  ] as const)('ends in one error over %s when the answer is %s', (upstream, name, code) => {
    const bridge = bridgeFor('responses.compaction_trigger', upstream)!;
    const text = bridged(bridge, contextOf(request), [Buffer.from(fixture(upstream, name))]);
    expect(dataOf(text).at(-1)).toMatchObject({ type: 'error', error: { code } });
    expect(text).not.toContain('response.completed');
  });
});
