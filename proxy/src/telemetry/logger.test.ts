import { describe, expect, it } from 'vitest';
import { describeError } from './logger.ts';

function thrownBy(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

describe('a cause in the log', () => {
  it.each(['canary', '{"a":canary', '{"canary" \'canary\'}', `${'['.repeat(40)}canary "`])(
    'shows nothing of a text that is not JSON: %s',
    (text) => {
      const cause = describeError(thrownBy(() => JSON.parse(text)));
      expect(cause.name).toBe('SyntaxError');
      expect(cause.message).not.toMatch(/cana|nary/);
    },
  );

  it('has no query of an address', () => {
    const { message } = describeError(new Error('GET https://host/path?code=secret failed'));
    expect(message).toBe('GET https://host/path?… failed');
  });

  it('tells of each address of a host that was not reached', () => {
    const parts = ['connect ECONNREFUSED ::1:1', 'connect ECONNREFUSED 127.0.0.1:1'];
    const error = Object.assign(new AggregateError(parts.map((part) => new Error(part))), {
      code: 'ECONNREFUSED',
    });
    expect(describeError(error)).toEqual({
      name: 'AggregateError',
      message: parts.join('; '),
      code: 'ECONNREFUSED',
    });
  });
});
