import { describe, expect, it } from 'vitest';
import { sessionKeyOf } from './session-affinity.ts';

describe('the session key', () => {
  it('is the prompt cache key before any header', () => {
    expect(sessionKeyOf({ 'session-id': 'header' }, 'cache')).toBe('cache');
  });

  it.each([
    'x-session-affinity',
    'session-id',
    'session_id',
    'x-session-id',
    'x-claude-code-session-id',
    'thread-id',
  ])('is read from %s', (name) => {
    expect(sessionKeyOf({ [name]: 'value' })).toBe('value');
  });

  it('is absent when nothing names the conversation', () => {
    expect(
      sessionKeyOf({ 'session-id': '', 'x-session-affinity': ['a', 'b'] }, ''),
    ).toBeUndefined();
  });

  it('is bounded in length', () => {
    expect(sessionKeyOf({}, 'x'.repeat(10_000))).toHaveLength(256);
  });
});
