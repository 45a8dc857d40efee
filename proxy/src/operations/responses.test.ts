import { describe, expect, it } from 'vitest';
import { responses } from './responses.ts';

describe('an error of the gateway in a Responses stream', () => {
  it('is numbered on from the last event that the upstream sent', () => {
    const before =
      'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":41}\n\n';
    const text = responses.errorEvent({ message: 'gone', code: 'stream_interrupted' }, before);
    expect(text).toBe(
      'event: error\ndata: {"type":"error","error":{"message":"gone","code":"stream_interrupted"},"sequence_number":42}\n\n',
    );
  });

  it('is the first where nothing came', () => {
    expect(responses.errorEvent({ message: 'gone' }, '')).toContain('"sequence_number":0');
  });
});
