import type { Operation } from '@aigateway/contract/records';
import { noTokens } from '@aigateway/contract/usage';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Tail } from './tail.ts';
import { readUsage } from './usage-reader.ts';
import { usageFromBody, usageFromTail } from './usage-tail.ts';

const read = (text: string, operation: Operation = 'chat') =>
  usageFromTail(Buffer.from(text), operation);

const chatUsage = '{"prompt_tokens":24,"completion_tokens":14,"total_tokens":38}';
const chatTokens = { ...noTokens, input: 24, output: 14 };

describe('usage in the tail', () => {
  it('is read from the last chunk of a chat stream, with model and tier', () => {
    const head = '"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-2024-11-20"';
    const stream =
      `data: {${head},"choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":null}\n\n` +
      `data: {${head},"service_tier":"priority","choices":[],"usage":${chatUsage}}\n\n` +
      'data: [DONE]\n\n';
    expect(read(stream)).toEqual({
      tokens: chatTokens,
      model: 'gpt-4o-2024-11-20',
      serviceTier: 'priority',
    });
    expect(read(stream.replaceAll('\n', '\r\n'))).toEqual(read(stream));
  });

  it('is read when obfuscation, filters or a tier follow it', () => {
    const body = `{"model":"m","choices":[],"usage":${chatUsage},"obfuscation":"a{b","prompt_filter_results":[{"model":"x"}],"service_tier":"flex"}`;
    expect(read(`data: ${body}\n\n`)).toEqual({
      tokens: chatTokens,
      model: 'm',
      serviceTier: 'flex',
    });
  });

  it('is read from the completed response, not from its tools', () => {
    const usage =
      '{"input_tokens":120,"input_tokens_details":{"cached_tokens":5},"output_tokens":80,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":200}';
    const tools =
      '[{"type":"function","parameters":{"properties":{"usage":{"input_tokens":1,"output_tokens":1}}}}]';
    const tokens = { ...noTokens, input: 120, cachedInput: 5, output: 80, reasoning: 64 };
    const expected = { tokens, model: 'o4-mini', serviceTier: 'default' };
    for (const members of [
      `"model":"o4-mini","service_tier":"default","tools":${tools},"usage":${usage}`,
      `"usage":${usage},"model":"o4-mini","tools":${tools},"service_tier":"default"`,
    ]) {
      const stream =
        'event: response.created\ndata: {"type":"response.created","response":{"usage":null}}\n\n' +
        `event: response.completed\ndata: {"type":"response.completed","response":{${members},"user":null,"metadata":{"usage":"{"}}}\n\n`;
      expect(read(stream, 'responses')).toEqual(expected);
      expect(read(`{${members}}`, 'responses')).toEqual(expected);
    }
  });

  it('is never what the caller wrote into a schema that the answer repeats', () => {
    const stated = '"usage":{"input_tokens":0,"output_tokens":0}';
    const padding = 'x'.repeat(100_000);
    for (const schema of [
      `{${stated}}`,
      `{"response":{${stated}}}`,
      `{"response":{"response":{${stated}}}}`,
      // Longer than what is looked back over: where the object begins cannot be told.
      `{"pad":"${padding}",${stated}}`,
      `{"response":{"pad":"${padding}",${stated}}}`,
    ]) {
      const tools = `"tools":[{"type":"function","parameters":${schema}}]`;
      const response = `{"model":"m",${tools},"usage":null,"metadata":{}}`;
      const event = `event: response.created\ndata: {"type":"response.created","response":${response}}\n\n`;
      const delta = 'event: response.output_text.delta\ndata: {"delta":"x"}\n\n';
      const tailOf = (text: string) => Buffer.from(text).subarray(-16_384);
      expect(read(response, 'responses')).toBeUndefined();
      expect(read(event + delta, 'responses')).toBeUndefined();
      expect(usageFromTail(tailOf(event + delta), 'responses')).toBeUndefined();
    }
  });

  it('is found behind an output whose beginning has long passed', () => {
    const usage = '"usage":{"input_tokens":7,"output_tokens":9}';
    const response = `{"output":[{"text":"${'x'.repeat(100_000)}"}],${usage},"metadata":{"a":"b"}}`;
    const event = `event: response.completed\ndata: {"type":"response.completed","response":${response}}\n\n`;
    const tokens = { ...noTokens, input: 7, output: 9 };
    expect(read(response, 'responses')?.tokens).toEqual(tokens);
    for (const keep of [100, 16_384, 90_000]) {
      const tail = Buffer.from(event).subarray(-keep);
      expect(usageFromTail(tail, 'responses')?.tokens).toEqual(tokens);
    }
  });

  it('is read from plain bodies, pretty-printed ones too', () => {
    const body = {
      object: 'list',
      data: [{ embedding: [0.1] }],
      model: 'e',
      usage: { prompt_tokens: 9, total_tokens: 9 },
    };
    const expected = { tokens: { ...noTokens, input: 9 }, model: 'e' };
    expect(read(JSON.stringify(body), 'embeddings')).toEqual(expected);
    expect(read(JSON.stringify(body, null, 2), 'embeddings')).toEqual(expected);
  });

  it('is found between long texts with quotes in them', () => {
    const text = JSON.stringify(`${'"usage":{}\\'.repeat(40)}","usage":${chatUsage}`);
    for (const long of [text, JSON.stringify('x'.repeat(500)), JSON.stringify('\\'.repeat(300))]) {
      const body = `{"model":"m","text":${long},"usage":${chatUsage},"more":${long},"service_tier":"flex"}`;
      expect(read(body)).toEqual({ tokens: chatTokens, model: 'm', serviceTier: 'flex' });
    }
  });

  it('is the last one where every chunk has one', () => {
    const chunk = (output: number) =>
      `data: {"usage":{"prompt_tokens":5,"completion_tokens":${output}}}\n\n`;
    expect(read(chunk(1) + chunk(2) + chunk(3))?.tokens.output).toBe(3);
    expect(read(chunk(1) + chunk(2) + chunk(3).slice(0, 40))?.tokens.output).toBe(2);
  });

  it('is the right one or none when the stream is cut at any byte', () => {
    const stream = Buffer.from(
      `data: {"choices":[{"delta":{"content":"{\\"usage\\":${chatUsage.replaceAll('"', '\\"')}}"}}],"usage":null}\r\n\r\n` +
        `data: {"choices":[],"usage":${chatUsage}}\r\n\r\ndata: [DONE]\r\n\r\n`,
    );
    const end = stream.lastIndexOf(chatUsage) + chatUsage.length;
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const found = usageFromTail(stream.subarray(0, cut), 'chat');
      expect(found?.tokens).toEqual(cut < end ? undefined : chatTokens);
    }
  });

  it.each([
    ['none', 'data: {"choices":[]}\n\ndata: [DONE]\n\n'],
    ['null', '{"usage":null}'],
    ['text', '{"usage":"{}"}'],
    ['cut off', '{"usage":{"prompt_tokens":5,"completion_tokens":1'],
    ['not usage', '{"usage":{"type":"object"}}'],
    ['nested', `{"a":{"usage":${chatUsage}}}`],
    ['in a list', `{"a":[1,{"usage":${chatUsage}}]}`],
    ['in text', JSON.stringify({ content: `{"usage":${chatUsage}}` })],
    [
      'in text within text',
      JSON.stringify({ a: JSON.stringify({ usage: { prompt_tokens: 1, completion_tokens: 1 } }) }),
    ],
    ['the end of another key', `{"my\\"usage":${chatUsage}}`],
    ['nothing', ''],
  ])('is not taken from what is %s', (_name, text) => {
    expect(read(text)).toBeUndefined();
  });

  const evil = fc.constantFrom(
    '"usage":{"prompt_tokens":1,"completion_tokens":1}',
    '{"usage":{"prompt_tokens":2,"completion_tokens":2}}',
    '\\"usage\\":{"prompt_tokens":3,"completion_tokens":3}',
    '\\',
    '"',
    '\n\ndata: {"usage":{"prompt_tokens":4,"completion_tokens":4}}\n\n',
    ',"usage":{',
    '🙂é',
  );
  const text = fc
    .array(fc.oneof(evil, fc.string()), { maxLength: 6 })
    .map((parts) => parts.join(''));
  const nested = fc.oneof(
    text,
    fc.jsonValue({ maxDepth: 2 }),
    fc.constant({ usage: { prompt_tokens: 6, completion_tokens: 6 }, model: 'nested' }),
    fc.constant([{ usage: { prompt_tokens: 7, completion_tokens: 7 }, service_tier: 'nested' }]),
    fc.record({ text, usage: text }),
  );
  const usage = (inner: fc.Arbitrary<unknown>) =>
    fc.oneof(
      fc.constant(null),
      fc.record({ prompt_tokens: fc.nat(1e6), completion_tokens: fc.nat(1e6), note: inner }),
    );
  const event = (inner: fc.Arbitrary<unknown>) =>
    fc
      .tuple(
        fc.dictionary(fc.oneof(text, fc.constantFrom('choices', 'tools')), inner, { maxKeys: 4 }),
        fc.record({ usage: usage(inner), model: text, service_tier: text }, { requiredKeys: [] }),
        fc.infiniteStream(fc.nat()),
      )
      .map(([others, own, order]) => {
        const members = Object.entries({ ...others, ...own }).map(
          (member) => [order.next().value, member] as const,
        );
        members.sort(([first], [second]) => first - second);
        return Object.fromEntries(members.map(([, member]) => member));
      });
  const layout = fc.record({
    newline: fc.constantFrom('\n', '\r\n'),
    prefix: fc.constantFrom('data: ', 'data:'),
    spaced: fc.boolean(),
  });
  type Layout = { newline: string; prefix: string; spaced: boolean };

  const framed = (
    events: readonly Record<string, unknown>[],
    { newline, prefix, spaced }: Layout,
  ) =>
    events
      .map((data) => {
        // A space after each structural colon and comma, as Python writes them.
        const json = spaced
          ? JSON.stringify(data, null, 1).replace(/\n */g, ' ')
          : JSON.stringify(data);
        return prefix + json + newline + newline;
      })
      .join('');

  it('is what a parser of every event finds, whatever the events hold', () => {
    fc.assert(
      fc.property(
        fc.array(event(nested), { maxLength: 5 }),
        layout,
        fc.boolean(),
        (events, how, isResponses) => {
          const operation = isResponses ? 'responses' : 'chat';
          const sent = isResponses ? events.map((response) => ({ type: 'x', response })) : events;
          const found = usageFromTail(Buffer.from(framed(sent, how)), operation);
          const last = events.findLast((data) => readUsage(operation, data['usage']) !== undefined);
          if (last === undefined) {
            expect(found).toBeUndefined();
            return;
          }
          const model = last['model'];
          const serviceTier = last['service_tier'];
          expect(found).toEqual({
            tokens: readUsage(operation, last['usage']),
            ...(typeof model === 'string' && model !== '' && { model }),
            ...(typeof serviceTier === 'string' && { serviceTier }),
          });
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('is what a parser of a whole answer finds, whatever the answer holds', () => {
    fc.assert(
      fc.property(event(nested), fc.nat(2), fc.boolean(), (answer, indent, isResponses) => {
        const operation = isResponses ? 'responses' : 'chat';
        const found = usageFromBody(Buffer.from(JSON.stringify(answer, null, indent)), operation);
        const tokens = readUsage(operation, answer['usage']);
        if (tokens === undefined) {
          expect(found).toBeUndefined();
          return;
        }
        const { model, service_tier: serviceTier } = answer;
        expect(found).toEqual({
          tokens,
          ...(typeof model === 'string' && model !== '' && { model }),
          ...(typeof serviceTier === 'string' && { serviceTier }),
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('is the right one or none, wherever the stream is cut into chunks and the tail begins', () => {
    const events = fc.array(event(text), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        events,
        layout,
        fc.nat({ max: 400 }),
        fc.integer({ min: 1, max: 60 }),
        (all, how, keep, size) => {
          const bytes = Buffer.from(framed(all, how));
          const tail = new Tail(keep);
          for (let at = 0; at < bytes.length; at += size) tail.push(bytes.subarray(at, at + size));
          const found = usageFromTail(tail.bytes(), 'chat');
          const last = all.findLast((data) => readUsage('chat', data['usage']) !== undefined);
          if (found === undefined) return;
          expect(found.tokens).toEqual(readUsage('chat', last?.['usage']));
          if (found.model !== undefined) expect(found.model).toBe(last?.['model']);
          if (found.serviceTier !== undefined)
            expect(found.serviceTier).toBe(last?.['service_tier']);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('is read with its siblings wherever they stand in an answer', () => {
    const own = [`"model":"m"`, `"service_tier":"flex"`, `"usage":${chatUsage}`];
    const others = [
      `"tools":[{"model":"nested","service_tier":"nested","usage":${chatUsage}}]`,
      `"type":"model"`,
      `"text":${JSON.stringify('"model":"written"'.repeat(20))}`,
    ];
    for (let turn = 0; turn < 6; turn += 1) {
      const all = [...own, ...others];
      const turned = [...all.slice(turn), ...all.slice(0, turn)];
      for (const members of [turned, turned.toReversed()]) {
        expect(usageFromBody(Buffer.from(`{${members.join(',')}}`), 'chat')).toEqual({
          tokens: chatTokens,
          model: 'm',
          serviceTier: 'flex',
        });
      }
    }
  });

  it('is read with its siblings however far before it they stand in an answer', () => {
    const long = 'x'.repeat(100_000);
    const answer = {
      instructions: [{ model: 'nested', service_tier: 'nested', long }],
      model: 'm',
      output: [{ text: long }],
      service_tier: 'priority',
      tools: [{ description: long }],
      usage: { input_tokens: 7, output_tokens: 9 },
    };
    expect(usageFromBody(Buffer.from(JSON.stringify(answer)), 'responses')).toEqual({
      tokens: { ...noTokens, input: 7, output: 9 },
      model: 'm',
      serviceTier: 'priority',
    });
  });

  describe('is found in steps that grow with the answer, whatever a caller wrote into its tools', () => {
    const levels = (count: number, open: string, close: string) =>
      `{${open.repeat(count)}"x":{}${close.repeat(count)}}`;
    const deep = (count: number) => levels(count, '"usage":{', '}');
    const before = (count: number) => levels(count, '"x":{', `},"usage":${chatUsage}`);
    const beforeResponse = (count: number) =>
      levels(count, '"x":{', `},"response":{"usage":${chatUsage}}`);
    const answer = (tools: string) => `{"tools":[${tools}],"usage":null,"more":{}}`;
    const event = (tools: string) => `data: {"type":"x","response":${answer(tools)}}\n\n`;

    const stepsIn = (text: Buffer, read: typeof usageFromBody): number => {
      let steps = 0;
      const counted = new Proxy(text, {
        get(target, name) {
          steps += 1;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      expect(read(counted, 'responses')).toBeUndefined();
      return steps;
    };

    it.each([
      ['many', (count: number) => Array(count).fill(`{"usage":${chatUsage}}`).join(',')],
      ['one within the other', deep],
      ['one before the other', before],
      ['one before the other, as of responses', beforeResponse],
    ])('usages, %s', (_name, tools) => {
      const body = (count: number) => Buffer.from(answer(tools(count)));
      const stream = (count: number) => Buffer.from(event(tools(count)));
      // As the tail of a stream begins and ends anywhere.
      const half = (count: number) => stream(count).subarray(stream(count).length / 2);
      const begun = (count: number) => stream(count).subarray(0, stream(count).length - 40);
      for (const [text, read] of [
        [body, usageFromBody],
        [stream, usageFromTail],
        [half, usageFromTail],
        [begun, usageFromTail],
      ] as const) {
        const growth = stepsIn(text(800), read) / stepsIn(text(80), read);
        expect(growth).toBeLessThan(15);
      }
    });
  });

  it('never throws, whatever the bytes', () => {
    const piece = fc.oneof(
      fc.constantFrom('"usage"', ':', '{', '}', '"', '\\', ',', ' '),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        expect(() => read(pieces.join(''))).not.toThrow();
        expect(() => usageFromBody(Buffer.from(pieces.join('')), 'responses')).not.toThrow();
      }),
    );
  });
});
