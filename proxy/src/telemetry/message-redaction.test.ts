import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loggedBody, withoutTail } from './message-redaction.ts';

const text = (value: unknown, maxLength = 100_000) =>
  loggedBody(value as Parameters<typeof loggedBody>[0], maxLength).text;
const inText = (content: string) => JSON.parse(text({ content })) as { content: string };

/** Texts with a secret, and what may not be left of it. */
const secrets: readonly (readonly [string, string])[] = [
  ['my key is sk-proj-0123456789abcdef', 'sk-proj-0123456789abcdef'],
  ['Authorization: Bearer abc', 'abc'],
  ['authorization=Basic dXNlcjpwYXNz', 'dXNlcjpwYXNz'],
  ['curl -H "Cookie: a=first; b=second"', 'second'],
  ['send Bearer 0123456789abcdefgh', '0123456789abcdefgh'],
  ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl here', 'c2lnbmF0dXJl'],
  ['token ghp_0123456789abcdefghij', 'ghp_0123456789abcdefghij'],
  ['github_pat_0123456789abcdefghij', '0123456789abcdefghij'],
  ['slack xoxb-12345678-abc', 'xoxb-12345678-abc'],
  [`AKIA${'ABCDEFGHIJKLMNOP'}`, 'ABCDEFGHIJKLMNOP'],
  ['postgres://admin:hunter2@db.example/x', 'hunter2'],
  ['password: hunter2', 'hunter2'],
  ['DB_PASSWORD="two words"', 'two words'],
  ["client_secret: 'one two'", 'one two'],
  ['AZURE_OPENAI_API_KEY=short', 'short'],
  ['SECRET_2=short', 'short'],
  ['DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcd+/==;', 'abcd+/'],
  ['https://x.blob.core.windows.net/c?sp=r&sig=abc%2Fdef', 'abc%2Fdef'],
  ['it said {\\"password\\": \\"hunter2\\"} there', 'hunter2'],
  ['it said "password":"a\\"bcd" there', 'bcd'],
  ["it said 'secret': 'don\\'t tell' there", 'tell'],
  ['write to jürgen.müller@exämple.de please', 'jürgen'],
  ['from a@b.example,c@d.example;@ and @x or y@ to last-one@e.example.', 'last-one'],
  ['write to Jane.Doe+x@mail.example.co.za please', 'Jane.Doe'],
  ['0123456789abcdef0123456789abcdef', '0123456789abcdef'],
  [`key ${'Ab1+'.repeat(21)}Ab==`, 'Ab1+Ab1+'],
  ['-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nrest\n-----END RSA PRIVATE KEY----- and on', 'MIIEow'],
  ['-----BEGIN PRIVATE KEY-----\nMIIEow that never ends', 'MIIEow'],
  ['{"user":"x","password":"a\\"b","n":1}', 'a\\\\\\"b'],
];

describe('a body for the log', () => {
  it.each(secrets)('has no secret of a text: %s', (content, secret) => {
    expect(text({ messages: [{ role: 'user', content }] })).not.toContain(secret);
    expect(text({ messages: [{ content: `before\n${content}\nafter` }] })).not.toContain(secret);
  });

  it.each(secrets)('has none wherever it is cut: %s', (content, secret) => {
    for (let length = 256; length < 300 + content.length; length += 1)
      expect(text({ content: `${'x '.repeat(120)}${content}` }, length)).not.toContain(secret);
  });

  it('has none whatever stands around it, and however deep', () => {
    const around = fc.string({ maxLength: 40 });
    fc.assert(
      fc.property(fc.constantFrom(...secrets), around, around, fc.nat(6), (one, a, b, depth) => {
        const [content, secret] = one;
        let value: unknown = `${a} ${content} ${b}`;
        for (let level = 0; level < depth; level += 1)
          value = level % 2 === 0 ? { part: value } : [value, a];
        // Around it nothing is put that holds it by chance.
        fc.pre(!a.includes(secret) && !b.includes(secret));
        expect(text(value)).not.toContain(secret);
      }),
      { numRuns: 500 },
    );
  });

  it('leaves what is no secret as it is', () => {
    const body = {
      model: 'gpt-5',
      max_tokens: 100,
      prompt_cache_key: 'session 1',
      messages: [
        { role: 'user', content: 'Explain basic understanding of bearer instruments and tokens.' },
        { role: 'user', content: 'id 0f2b7c1e-4f7a-4d53-9a52-3b8f5c9f2d10 in src/routing/a.ts' },
      ],
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
      usage: { input_tokens: 10, total_tokens: 20 },
      stream: true,
      stop: null,
    };
    expect(JSON.parse(text(body))).toEqual(body);
  });

  it('has nothing that stands under the name of a secret', () => {
    const names = ['api_key', 'Authorization', 'x-api-key', 'clientSecret', 'access_token'];
    const body = {
      tools: [
        { type: 'mcp', headers: Object.fromEntries(names.map((name) => [name, 'hidden'])) },
        { password: 1234, credentials: { user: 'hidden' }, refresh_token: ['hidden'] },
        { name: 'X-Api-Key', value: 'hidden' },
      ],
    };
    const logged = text(body);
    expect(logged).not.toMatch(/hidden|1234/);
    for (const name of names) expect(logged).toContain(name);
  });

  it('has none in the names that callers choose', () => {
    expect(text({ metadata: { 'jane@example.com': 'x' } })).not.toContain('jane');
  });

  it('has arguments of tools without the secrets in them', () => {
    const call = { name: 'login', arguments: JSON.stringify({ user: 'x', pin: 1, password: 'y' }) };
    const logged = JSON.parse(text({ tool_calls: [{ function: call }] })) as {
      tool_calls: [{ function: { arguments: string } }];
    };
    expect(JSON.parse(logged.tool_calls[0].function.arguments)).toEqual({
      user: 'x',
      pin: 1,
      password: '[redacted]',
    });
  });

  it('has kind and size of pictures, files, sound and blobs in their place', () => {
    const data = 'QUJD'.repeat(100);
    const body = {
      content: [
        { type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } },
        { type: 'input_audio', input_audio: { data: 'QUJD', format: 'mp3' } },
        { type: 'input_file', file_data: `data:application/pdf;base64,${data}` },
        { type: 'text', text: `see ![x](data:image/gif;base64,${data}) there` },
        { type: 'image_generation_call', result: 'QUJD' },
        { type: 'reasoning', encrypted_content: 'QUJD' },
        { audio: { id: 'a', data: 'QUJD', transcript: 'words' } },
        { unknown: data },
        { embedding: Array.from({ length: 1536 }, () => 0.5) },
        { embedding: 'QUJD' },
        { logprobs: { content: [{ token: 'a' }] } },
      ],
    };
    const { content } = JSON.parse(text(body)) as typeof body;
    expect(content).toEqual([
      { type: 'image_url', image_url: { url: '[image/png, 300 bytes]' } },
      { type: 'input_audio', input_audio: { data: '[audio, 3 bytes]', format: 'mp3' } },
      { type: 'input_file', file_data: expect.stringMatching(/^\[file_data, \d+ bytes\]$/) },
      { type: 'text', text: 'see ![x]([image/gif, 300 bytes]) there' },
      { type: 'image_generation_call', result: '[image, 3 bytes]' },
      { type: 'reasoning', encrypted_content: '[encrypted_content, 3 bytes]' },
      { audio: { id: 'a', data: '[audio, 3 bytes]', transcript: 'words' } },
      { unknown: '[base64, 300 bytes]' },
      { embedding: '[1536 numbers]' },
      { embedding: '[embedding, 3 bytes]' },
      { logprobs: '[left out]' },
    ]);
  });

  it('is no longer than it may be, and says when it is cut', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 1, max: 300 }), (value, length) => {
        const body = { value } as Parameters<typeof loggedBody>[0];
        const logged = loggedBody(body, length);
        expect(logged.text.length).toBeLessThanOrEqual(length);
        if (!logged.isCut) expect(() => JSON.parse(logged.text) as unknown).not.toThrow();
      }),
    );
  });

  it('is whole where it fits, and not read further than it is kept', () => {
    expect(loggedBody({ content: 'short' }, 1000)).toEqual({
      text: '{"content":"short"}',
      isCut: false,
    });
    let read = 0;
    const items = Array.from({ length: 10_000 }, () => ({
      get content() {
        read += 1;
        return 'some text that takes room';
      },
    }));
    expect(loggedBody(items, 1000).isCut).toBe(true);
    expect(read).toBeLessThan(100);
  });

  it('bears whatever depth a body has', () => {
    const deep = JSON.parse(`${'[{"a":'.repeat(5000)}1${'}]'.repeat(5000)}`) as never;
    expect(loggedBody(deep, 1_000_000).isCut).toBe(true);
    let nested = '"x"';
    for (let depth = 0; depth < 12; depth += 1) nested = JSON.stringify({ a: nested });
    expect(inText(nested).content).toContain('a');
  });
});

describe('the end of a text that may go on', () => {
  it('is left out as far as it may be part of a secret', () => {
    expect(withoutTail('all is well sk-012')).toBe('all is well');
    expect(withoutTail('x'.repeat(600))).toBe('x'.repeat(88));
    expect(withoutTail('short')).toBe('');
  });
});
