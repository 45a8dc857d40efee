import { describe, expect, it } from 'vitest';
import { responses } from './responses.ts';

const gone = { message: 'gone', code: 'stream_interrupted' };

function events(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => JSON.parse(line.slice('data: '.length)) as Record<string, unknown>);
}

describe('an error of the gateway in a Responses stream', () => {
  const before =
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":41}\n\n';

  it('is a failed response and the error that SDKs raise, numbered on from the last event of the upstream', () => {
    const begun = { id: 'resp_1', model: 'm', status: 'in_progress', tools: [{ type: 'shell' }] };
    const text = responses.errorEvent(gone, before, begun);
    expect(text).toMatch(/^event: response\.failed\ndata: .*\n\nevent: error\ndata: .*\n\n$/);
    expect(events(text)).toMatchObject([
      {
        type: 'response.failed',
        sequence_number: 42,
        response: {
          id: 'resp_1',
          object: 'response',
          model: 'm',
          status: 'failed',
          error: { code: 'stream_interrupted', message: 'gone' },
          output: [],
          tools: [{ type: 'shell' }],
        },
      },
      { type: 'error', error: gone, sequence_number: 43 },
    ]);
  });

  it('leaves out of the count what broke off in its middle', () => {
    const cut = `${before}event: x\ndata: {"sequence_number":42,`;
    expect(events(responses.errorEvent(gone, cut, {}))[0]).toMatchObject({ sequence_number: 42 });
  });

  it("takes the place of the upstream's own error event", () => {
    const own = `${before}event: error\ndata: {"type":"error","sequence_number":42}\n\n`;
    expect(events(responses.errorEvent(gone, own, {}))[0]).toMatchObject({ sequence_number: 42 });
  });

  it('is the first where nothing came', () => {
    expect(events(responses.errorEvent(gone, '', { id: 'resp_1' }))).toMatchObject([
      {
        type: 'response.created',
        sequence_number: 0,
        response: { id: 'resp_1', status: 'in_progress', error: null },
      },
      { type: 'response.failed', sequence_number: 1 },
      { type: 'error', sequence_number: 2 },
    ]);
  });
});
