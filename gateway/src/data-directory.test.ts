import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keepSecret, newKey, newRootSecret } from './data-directory.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'aigateway-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('keepSecret', () => {
  it('makes a secret once and keeps it readable by its owner alone', () => {
    const first = keepSecret(join(directory, 'data'), 'master-key', newKey);
    const second = keepSecret(join(directory, 'data'), 'master-key', newKey);
    expect(first.created).toBe(true);
    expect(second).toEqual({ ...first, created: false });
    expect(statSync(first.file).mode & 0o777).toBe(0o600);
  });

  it('takes the group and the world out of a file that somebody opened', () => {
    const file = join(directory, 'master-key');
    writeFileSync(file, 'sk-known\n', { mode: 0o644 });
    expect(keepSecret(directory, 'master-key', newKey).value).toBe('sk-known');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('refuses an empty file instead of running with an empty secret', () => {
    writeFileSync(join(directory, 'secret'), '');
    expect(() => keepSecret(directory, 'secret', newRootSecret)).toThrow('empty');
  });
});

describe('newKey', () => {
  it('has the form of LiteLLM keys', () => {
    expect(newKey()).toMatch(/^sk-[A-Za-z0-9_-]{22}$/);
  });
});
