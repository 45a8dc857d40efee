import { describe, expect, it } from 'vitest';
import { parseEvents } from './server-events.ts';

describe('events of a whole stream', () => {
  it('have their name and their data, over several lines and with either line end', () => {
    const text = 'event: a\ndata: {"x":\ndata: 1}\n\n: comment\n\ndata:[DONE]\r\n\r\n';
    expect(parseEvents(text)).toEqual([{ event: 'a', data: '{"x":\n1}' }, { data: '[DONE]' }]);
  });
});
