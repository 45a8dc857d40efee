import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { IdTagger, type TaggedKind } from './affinity.ts';
import { mayReferToState, stripForeign, unwrapRequest } from './state-fields.ts';

const tagger = new IdTagger({ current: 'a root secret of at least 32 bytes!' });
const owner = 'team-1';
const tag = (kind: TaggedKind, original: string, resourceId = 'home', ownerId = owner): string =>
  tagger.wrap(kind, resourceId, ownerId, original);
const unwrap = (body: JsonObject) => unwrapRequest(body, tagger, owner);
const message = (text: string): JsonObject => ({ type: 'message', role: 'user', content: text });

describe('references of a request', () => {
  it('lead to their home with the upstream’s own ids', () => {
    const body: JsonObject = {
      model: 'm',
      previous_response_id: tag('response', 'resp_1'),
      conversation: { id: tag('conversation', 'conv_1') },
      input: [
        { type: 'item_reference', id: tag('item', 'rs_1') },
        { id: tag('item', 'msg_2') },
        {
          type: 'reasoning',
          id: tag('item', 'rs_3'),
          summary: [],
          encrypted_content: tag('encrypted', 'gAAAA-3'),
        },
        { type: 'function_call', id: tag('item', 'fc_4'), call_id: 'c', name: 'f', arguments: '' },
        { type: 'function_call_output', call_id: 'c', output: '' },
        {
          type: 'mcp_approval_response',
          approval_request_id: tag('item', 'mcpr_5'),
          approve: true,
        },
        { type: 'compaction', encrypted_content: tag('encrypted', 'gAAAA-6') },
      ],
    };
    const before = structuredClone(body);
    const result = unwrap(body);
    expect(result).toEqual({
      body: {
        model: 'm',
        previous_response_id: 'resp_1',
        conversation: { id: 'conv_1' },
        input: [
          { type: 'item_reference', id: 'rs_1' },
          { id: 'msg_2' },
          { type: 'reasoning', id: 'rs_3', summary: [], encrypted_content: 'gAAAA-3' },
          { type: 'function_call', id: 'fc_4', call_id: 'c', name: 'f', arguments: '' },
          { type: 'function_call_output', call_id: 'c', output: '' },
          { type: 'mcp_approval_response', approval_request_id: 'mcpr_5', approve: true },
          { type: 'compaction', encrypted_content: 'gAAAA-6' },
        ],
      },
      homes: new Set(['home']),
      foreign: [],
      untagged: [],
      stripped: [],
      changed: true,
    });
    expect(body).toEqual(before);
  });

  it('leave a request without any of them as it is', () => {
    const body: JsonObject = {
      input: [message('hello'), { role: 'user', content: 'again', id: 'msg_own' }],
      previous_response_id: null,
      conversation: null,
    };
    const result = unwrap(body);
    expect(result.body).toBe(body);
    expect(result).toMatchObject({ changed: false, homes: new Set(), foreign: [], untagged: [] });
    expect(unwrap({ input: 'hello' }).changed).toBe(false);
    expect(unwrap({ input: ['odd', 1, null] }).changed).toBe(false);
  });

  it.each<[string, JsonObject]>([
    ['previous_response_id', { previous_response_id: 'resp_1' }],
    ['conversation', { conversation: 'conv_1' }],
    ['conversation', { conversation: { id: 'conv_1' } }],
    ['item_reference', { input: [{ type: 'item_reference', id: 'rs_1' }] }],
    ['item_reference', { input: [{ id: 'rs_1' }] }],
    ['item_reference', { input: [{ type: null, id: 'rs_1' }] }],
  ])('without a tag are named: %s', (name, body) => {
    expect(unwrap(body)).toMatchObject({ untagged: [name], foreign: [], changed: false });
  });

  it.each<[string, JsonObject]>([
    ['previous_response_id', { previous_response_id: tag('response', 'resp_1', 'home', 'other') }],
    ['conversation', { conversation: tag('conversation', 'conv_1', 'home', 'other') }],
    [
      'item_reference',
      { input: [{ type: 'item_reference', id: tag('item', 'rs_1', 'home', 'other') }] },
    ],
  ])('of another owner are named: %s', (name, body) => {
    expect(unwrap(body)).toMatchObject({ foreign: [name], untagged: [], homes: new Set() });
  });

  it.each<[string, JsonObject]>([
    ['previous_response_id', { previous_response_id: tag('item', 'resp_1') }],
    ['conversation', { conversation: tag('item', 'conv_1') }],
    ['item_reference', { input: [{ type: 'item_reference', id: tag('encrypted', 'msg_1') }] }],
  ])('refuse a tag that was given for something else: %s', (name, body) => {
    expect(unwrap(body)).toMatchObject({ foreign: [name], homes: new Set() });
  });

  it('do not include ids that clients make up for whole items', () => {
    const body: JsonObject = {
      input: [
        { type: 'message', role: 'developer', id: 'msg_made-up', content: 'x' },
        { type: 'reasoning', id: 'rs_unstored', summary: [], encrypted_content: 'gAAAA-direct' },
        { type: 'function_call', id: 'fc_x', call_id: 'c', name: 'f', arguments: '' },
        { type: 'function_call_output', call_id: 'c', output: '' },
      ],
    };
    expect(unwrap(body)).toMatchObject({ body, changed: false, untagged: [], foreign: [] });
  });
});

describe('whole items of another owner', () => {
  it('keep their content and lose what was never the caller’s', () => {
    const foreign = (kind: TaggedKind, text: string): string => tag(kind, text, 'home', 'other');
    const result = unwrap({
      input: [
        { ...message('hello'), id: foreign('item', 'msg_1') },
        {
          type: 'reasoning',
          id: foreign('item', 'rs_1'),
          summary: [],
          encrypted_content: foreign('encrypted', 'gAAAA'),
        },
      ],
    });
    expect(result.body['input']).toEqual([message('hello')]);
    expect(result).toMatchObject({ foreign: [], homes: new Set(), stripped: ['id', 'reasoning'] });
  });
});

describe('a history of several homes', () => {
  const call = (name: string, home: string): JsonObject => ({
    type: 'function_call',
    id: tag('item', `fc_${name}`, home),
    call_id: name,
    name: 'f',
    arguments: '{}',
  });
  const output = (name: string): JsonObject => ({
    type: 'function_call_output',
    call_id: name,
    output: 'ok',
  });

  it('goes on at the home of its latest item', () => {
    const result = unwrap({
      input: [
        message('first'),
        {
          type: 'reasoning',
          id: tag('item', 'rs_1', 'old'),
          summary: [],
          encrypted_content: tag('encrypted', 'gAAAA-old', 'old'),
        },
        call('a', 'old'),
        output('a'),
        {
          type: 'reasoning',
          id: tag('item', 'rs_2', 'new'),
          summary: [],
          encrypted_content: tag('encrypted', 'gAAAA-new', 'new'),
        },
        call('b', 'new'),
        output('b'),
      ],
    });
    expect(result.homes).toEqual(new Set(['new']));
    expect(result.stripped).toEqual(['reasoning', 'id']);
    expect(result.body['input']).toEqual([
      message('first'),
      { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' },
      output('a'),
      { type: 'reasoning', id: 'rs_2', summary: [], encrypted_content: 'gAAAA-new' },
      { type: 'function_call', id: 'fc_b', call_id: 'b', name: 'f', arguments: '{}' },
      output('b'),
    ]);
  });

  it('drops outputs of calls that were only referred to, and keeps those the home knows', () => {
    const result = unwrap({
      input: [
        { type: 'item_reference', id: tag('item', 'fc_a', 'old') },
        output('a'),
        { type: 'item_reference', id: tag('item', 'fc_b', 'new') },
        output('b'),
      ],
    });
    expect(result.body['input']).toEqual([{ type: 'item_reference', id: 'fc_b' }, output('b')]);
    expect(result.stripped).toEqual(['item_reference', 'call_output']);
  });

  it('follows the previous response before anything else', () => {
    const result = unwrap({
      previous_response_id: tag('response', 'resp_1', 'first'),
      input: [output('known-to-home'), { ...message('x'), id: tag('item', 'msg_1', 'second') }],
    });
    expect(result.homes).toEqual(new Set(['first']));
    expect(result.body).toEqual({
      previous_response_id: 'resp_1',
      input: [output('known-to-home'), message('x')],
    });
  });
});

describe('stripping the state of a lost home', () => {
  it('keeps the conversation usable', () => {
    const body: JsonObject = {
      model: 'm',
      previous_response_id: 'resp_1',
      store: true,
      input: [
        { type: 'item_reference', id: 'msg_0' },
        { ...message('question'), id: 'msg_1' },
        { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAA' },
        { type: 'web_search_call', id: 'ws_1', status: 'completed' },
        { type: 'function_call', id: 'fc_1', call_id: 'kept', name: 'f', arguments: '{}' },
        { type: 'function_call_output', id: 'fco_1', call_id: 'kept', output: '1' },
        { type: 'function_call_output', call_id: 'orphan', output: '2' },
        { type: 'custom_tool_call', id: 'ctc_1', call_id: 'unanswered', name: 'g', input: '' },
        {
          type: 'local_shell_call',
          id: 'lsh_1',
          call_id: 'shell',
          action: { type: 'exec' },
          status: 'completed',
        },
        { type: 'local_shell_call_output', id: 'lsh_1', output: '' },
        { type: 'compaction', encrypted_content: 'gAAAA' },
        message('next'),
      ],
    };
    const before = structuredClone(body);
    const result = stripForeign(body);
    expect(body).toEqual(before);
    expect(result.usable).toBe(true);
    expect(result.body).toEqual({
      model: 'm',
      store: true,
      input: [
        message('question'),
        { type: 'function_call', call_id: 'kept', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'kept', output: '1' },
        { type: 'local_shell_call_output', id: 'lsh_1', output: '' },
        message('next'),
      ],
    });
    expect(result.stripped).toEqual(
      expect.arrayContaining([
        'previous_response_id',
        'item_reference',
        'id',
        'reasoning',
        'web_search_call',
        'compaction',
        'call',
        'call_output',
      ]),
    );
  });

  it('says when nothing is left to answer to', () => {
    const onlyReferences = stripForeign({ input: [{ type: 'item_reference', id: 'rs_1' }] });
    expect(onlyReferences).toMatchObject({ usable: false, body: { input: [] } });
    expect(stripForeign({ previous_response_id: 'resp_1' }).usable).toBe(false);
    expect(stripForeign({ previous_response_id: 'resp_1', input: 'go on' }).usable).toBe(true);
  });

  it('finds nothing in a request without state', () => {
    const body: JsonObject = { input: [message('hello')], previous_response_id: null };
    expect(stripForeign(body)).toEqual({ body, stripped: [], usable: true });
  });

  it('leaves calls and outputs in pairs, whatever the input', () => {
    const callId = fc.constantFrom('a', 'b', 'c');
    const item: fc.Arbitrary<JsonValue> = fc.oneof(
      callId.map((call_id): JsonValue => ({ type: 'function_call', id: 'fc', call_id })),
      callId.map((call_id): JsonValue => ({ type: 'function_call_output', call_id })),
      fc.constant<JsonValue>({ type: 'item_reference', id: 'rs_1' }),
      fc.constant<JsonValue>({ type: 'reasoning', id: 'rs_1', summary: [] }),
      fc.constant<JsonValue>(message('x')),
    );
    fc.assert(
      fc.property(fc.array(item), (input) => {
        const { body, stripped } = stripForeign({ input });
        const items = body['input'] as JsonObject[];
        if (stripped.length === 0) return;
        const of = (type: string): Set<JsonValue | undefined> =>
          new Set(items.filter((each) => each['type'] === type).map((each) => each['call_id']));
        expect(of('function_call')).toEqual(of('function_call_output'));
        expect(JSON.stringify(items)).not.toContain('"rs_1"');
        expect(stripForeign(body).body).toEqual(body);
      }),
    );
  });
});

describe('the look at the raw text', () => {
  it.each([
    JSON.stringify({ previous_response_id: 'resp_1' }),
    JSON.stringify({ input: [{ type: 'item_reference', id: 'rs_1' }] }),
    JSON.stringify({ conversation: 'conv_1' }),
    JSON.stringify({ input: [{ type: 'message', id: tag('item', 'msg_1') }] }),
  ])('finds every kind of reference: %s', (text) => {
    expect(mayReferToState(text)).toBe(true);
    expect(mayReferToState(Buffer.from(text))).toBe(true);
  });

  it('passes an ordinary request by', () => {
    expect(mayReferToState(JSON.stringify({ input: [message('hello')] }))).toBe(false);
  });
});
