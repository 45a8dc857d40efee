import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { IdTagger } from './affinity.ts';
import { unwrapRequest } from './state-fields.ts';
import { wrapResponse, wrapResponseText } from './state-response.ts';

const tagger = new IdTagger({ current: 'a root secret of at least 32 bytes!' });
const owner = 'team-1';
const answer = tagger.forAnswer({ resourceId: 'home', ownerId: owner, stored: true });
const unstored = tagger.forAnswer({ resourceId: 'home', ownerId: owner, stored: false });
const responseId = answer.wrap('response', 'resp_0000000001');
const messageId = answer.wrap('item', 'msg_0000000001');

describe('an answer', () => {
  it('changes in its ids and blobs alone, byte for byte', () => {
    const text = `{ "id":"resp_0000000001","object":"response","temperature":1.0, "big":12345678901234567890,
      "previous_response_id": "resp_0000000000","conversation":{"id":"conv_00000001"},"unknown":{"id":"msg_other_thing"},
      "output":[{"id":"rs_00000000001","type":"reasoning","encrypted_content":"gAAAA0+/x=="},
        {"id":"msg_0000000001","type":"message","content":[{"type":"output_text","text":"say \\"msg_0000000001\\""}]},
        {"id":"mcp_0000001","type":"mcp_call","approval_request_id":"mcpr_000001"}]}`;
    const expected = text
      .replace('"resp_0000000001"', `"${responseId}"`)
      .replace('"resp_0000000000"', `"${answer.wrap('response', 'resp_0000000000')}"`)
      .replace('"conv_00000001"', `"${answer.wrap('conversation', 'conv_00000001')}"`)
      .replace('"rs_00000000001"', `"${answer.wrap('item', 'rs_00000000001')}"`)
      .replace('"gAAAA0+/x=="', `"${answer.wrap('encrypted', 'gAAAA0+/x==')}"`)
      .replace('"id":"msg_0000000001"', `"id":"${messageId}"`)
      .replace('"mcp_0000001"', `"${answer.wrap('item', 'mcp_0000001')}"`)
      .replace('"mcpr_000001"', `"${answer.wrap('item', 'mcpr_000001')}"`);
    expect(wrapResponseText(text, answer)).toBe(expected);
  });

  it('that the upstream does not keep changes in its blobs alone', () => {
    const text = JSON.stringify({
      id: 'resp_0000000001',
      object: 'response',
      output: [{ id: 'rs_00000000001', encrypted_content: 'gAAAA-blob-1' }],
    });
    expect(wrapResponseText(text, unstored)).toBe(
      text.replace('gAAAA-blob-1', unstored.wrap('encrypted', 'gAAAA-blob-1')),
    );
    const delta = '{"type":"response.output_text.delta","item_id":"msg_0000000001","delta":"x"}';
    expect(wrapResponseText(delta, unstored)).toBe(delta);
  });

  it('of a deletion, a list of items or a compaction is tagged too', () => {
    const read = (body: JsonObject): unknown =>
      JSON.parse(wrapResponseText(JSON.stringify(body), answer));
    expect(read({ id: 'resp_0000000001', object: 'response.deleted', deleted: true })).toEqual({
      id: responseId,
      object: 'response.deleted',
      deleted: true,
    });
    expect(
      read({
        object: 'list',
        data: [{ id: 'msg_0000000001', type: 'message' }],
        first_id: 'msg_0000000001',
        last_id: 'msg_0000000001',
      }),
    ).toEqual({
      object: 'list',
      data: [{ id: messageId, type: 'message' }],
      first_id: messageId,
      last_id: messageId,
    });
    expect(read({ id: 'resp_0000000001', object: 'response.compaction', output: [] })).toEqual({
      id: responseId,
      object: 'response.compaction',
      output: [],
    });
  });

  it('with an id that could be mistaken for a word is rewritten by its structure', () => {
    const text = '{"object":"response","id":"r1","output":[{"id":"assistant","role":"assistant"}]}';
    expect(JSON.parse(wrapResponseText(text, answer))).toEqual({
      object: 'response',
      id: answer.wrap('response', 'r1'),
      output: [{ id: answer.wrap('item', 'assistant'), role: 'assistant' }],
    });
  });

  it('with an escaped blob is tagged all the same', () => {
    const text =
      '{"object":"response","output":[{"type":"reasoning","encrypted_content":"gAAAA\\/123456"}]}';
    expect(JSON.parse(wrapResponseText(text, answer))).toEqual({
      object: 'response',
      output: [{ type: 'reasoning', encrypted_content: answer.wrap('encrypted', 'gAAAA/123456') }],
    });
  });

  it('that is no JSON object stays as it is', () => {
    for (const text of ['<html>"item"</html>', '[]', '', '[DONE]', '{"id":']) {
      expect(wrapResponseText(text, answer)).toBe(text);
    }
  });
});

describe('an event', () => {
  it.each<[string, JsonObject, JsonObject]>([
    [
      'a delta',
      {
        type: 'response.output_text.delta',
        item_id: 'msg_0000000001',
        delta: 'a "item_id":"msg_0000000001" and "item"',
      },
      {
        type: 'response.output_text.delta',
        item_id: messageId,
        delta: 'a "item_id":"msg_0000000001" and "item"',
      },
    ],
    [
      'an item',
      { type: 'response.output_item.done', item: { id: 'msg_0000000001', type: 'message' } },
      { type: 'response.output_item.done', item: { id: messageId, type: 'message' } },
    ],
    [
      'a response',
      {
        type: 'response.completed',
        response: { id: 'resp_0000000001', object: 'response', output: [{ id: 'msg_0000000001' }] },
      },
      {
        type: 'response.completed',
        response: { id: responseId, object: 'response', output: [{ id: messageId }] },
      },
    ],
  ])('with %s is tagged where it names state', (_, event, expected) => {
    expect(JSON.parse(wrapResponseText(JSON.stringify(event), answer))).toEqual(expected);
  });

  it('without state stays as it is', () => {
    const text = '{"type":"error","error":{"code":"server_error"},"sequence_number":3}';
    expect(wrapResponseText(text, answer)).toBe(text);
  });

  it('never changes what the model says', () => {
    fc.assert(
      fc.property(fc.string(), fc.json(), (text, json) => {
        const event = {
          type: 'response.output_text.delta',
          item_id: 'msg_0000000001',
          delta: text,
        };
        const wrapped = JSON.parse(wrapResponseText(JSON.stringify(event), answer)) as JsonObject;
        expect(wrapped).toEqual({ ...event, item_id: messageId });
        const nested = { ...event, delta: json };
        expect(JSON.parse(wrapResponseText(JSON.stringify(nested), answer))).toEqual({
          ...nested,
          item_id: messageId,
        });
      }),
    );
  });
});

describe('what a caller sends back', () => {
  it('reaches the upstream as the upstream said it', () => {
    const id = fc.stringMatching(/^(rs|msg|fc)_[0-9a-f]{8,40}$/);
    const item: fc.Arbitrary<JsonValue> = fc.oneof(
      fc.record({ type: fc.constant('message'), role: fc.constant('assistant'), id }),
      fc.record({ type: fc.constant('reasoning'), id, encrypted_content: fc.base64String() }),
    );
    fc.assert(
      fc.property(fc.array(item), (output) => {
        const text = JSON.stringify({ id: 'resp_0000000001', object: 'response', output });
        const seen = JSON.parse(wrapResponseText(text, answer)) as JsonObject;
        const request = { previous_response_id: seen['id'] ?? null, input: seen['output'] ?? [] };
        const back = unwrapRequest(request, tagger, owner);
        expect(back.body).toEqual({ previous_response_id: 'resp_0000000001', input: output });
        expect(back).toMatchObject({ foreign: [], untagged: [], stripped: [] });
        expect(back.homes).toEqual(new Set(['home']));
      }),
    );
  });

  it('is the same whether text or object was tagged', () => {
    const body: JsonObject = {
      object: 'response',
      id: 'resp_0000000001',
      output: [{ id: 'msg_0000000001' }],
    };
    const text = wrapResponseText(JSON.stringify(body), answer);
    wrapResponse(body, answer);
    expect(JSON.parse(text)).toEqual(body);
  });
});
