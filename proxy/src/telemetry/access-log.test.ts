import { describe, expect, it } from 'vitest';
import { AccessLog } from './access-log.ts';

function logged() {
  const written: string[] = [];
  const log = new AccessLog((lines) => void written.push(lines.toString()));
  const refused = (requestId: string, model: string) =>
    log.refused({
      requestId,
      startedAt: 0,
      durationMs: 1,
      client: '127.0.0.1',
      method: 'POST',
      endpoint: 'chat',
      status: 404,
      code: 'model_not_found',
      model,
    });
  const lines = (): { requestId: string; model: string }[] =>
    written
      .join('')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { requestId: string; model: string });
  return { log, written, refused, lines };
}

describe('the access log', () => {
  it('collects lines and writes them in one piece', () => {
    const { log, written, refused, lines } = logged();
    refused('one', 'größer');
    refused('two', '模型😀');
    expect(written).toEqual([]);
    log.flush();
    expect(written).toHaveLength(1);
    expect(lines()).toMatchObject([
      { requestId: 'one', model: 'größer' },
      { requestId: 'two', model: '模型😀' },
    ]);
    log.flush();
    expect(written).toHaveLength(1);
  });

  it('loses none and keeps their order where more come than it can hold', () => {
    const { log, written, refused, lines } = logged();
    const names = Array.from({ length: 2000 }, (_, at) => `call-${at}`);
    for (const name of names) refused(name, '模'.repeat(100));
    expect(written.length).toBeGreaterThan(1);
    log.flush();
    expect(lines().map(({ requestId }) => requestId)).toEqual(names);
  });

  it('writes a line that is longer than all it holds, after those before it', () => {
    const { log, refused, lines } = logged();
    refused('before', 'small');
    refused('long', 'x'.repeat(1_000_000));
    refused('after', 'small');
    log.flush();
    expect(lines().map(({ requestId }) => requestId)).toEqual(['before', 'long', 'after']);
    expect(lines()[1]?.model).toHaveLength(1_000_000);
  });
});
