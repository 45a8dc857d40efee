import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Management, startManagement } from './management.ts';

describe('a body that has one key twice', () => {
  let api: Management;
  beforeAll(async () => {
    api = await startManagement();
  });
  afterAll(() => api[Symbol.asyncDispose]());

  it('is refused, whichever would count, and nothing is written', async () => {
    const before = await api.store.audit.count({});
    for (const [path, body, name] of [
      ['/key/generate', '{"max_budget":1,"max_budget":1000}', 'max_budget'],
      ['/key/generate', '{"models":["a"],"mod\\u0065ls":[]}', 'models'],
      ['/team/new', '{"metadata":{"tags":["a"],"tags":["b"]}}', 'tags'],
      ['/manage/projects', '{"name":"p","blocked":true,"blocked":false}', 'blocked'],
    ] as const) {
      const { status, body: answer } = await api.post(path, body);
      expect([path, status, answer.error]).toEqual([
        path,
        400,
        expect.objectContaining({ param: name, message: expect.stringContaining(`"${name}"`) }),
      ]);
    }
    expect(await api.store.audit.count({})).toBe(before);
  });

  it('is refused by every route that takes a body', async () => {
    const taking = api.routes.filter(({ body }) => body !== undefined);
    expect(taking.length).toBeGreaterThan(50);
    for (const { method, paths } of taking) {
      const path = paths[0]!.replaceAll(/:\w+/g, 'x');
      const { status, text } = await api.call(method.toUpperCase(), path, {
        body: '{"twice":{"a":1},"twice":{}}',
      });
      expect([path, status, text.includes('stands twice')]).toEqual([path, 400, true]);
    }
  });

  it('may have it in two objects, and is UTF-8', async () => {
    const { status } = await api.post('/key/generate', {
      metadata: { a: { metadata: 1 } },
      aliases: { a: 'b' },
    });
    expect(status).toBe(200);
    const other = await api.call('POST', '/key/generate', {
      body: '{}',
      headers: { 'content-type': 'application/json; charset=utf-16le' },
    });
    expect(other.status).toBe(415);
  });
});
