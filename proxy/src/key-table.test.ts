import { describe, expect, it } from 'vitest';
import type { KeyRecord } from '@aigateway/contract/records';
import { KeyTable } from './key-table.ts';

function key(keyId: string, ...hashes: string[]): KeyRecord {
  return {
    keyId,
    secrets: hashes.map((hash) => ({ hash })),
    role: 'model',
    ownerId: keyId,
    models: [],
    aliases: {},
    routes: [],
    blocked: false,
    scopes: [],
    modelLimits: {},
    tags: [],
    regions: [],
  };
}

describe('the table of keys', () => {
  it('finds a key by each of its secrets', () => {
    const table = new KeyTable([key('a', 'h1', 'h2'), key('b', 'h3')]);
    expect(
      [table.find('h1'), table.find('h2'), table.find('h3')].map((one) => one?.key.keyId),
    ).toEqual(['a', 'a', 'b']);
    expect(table.find('h4')).toBeUndefined();
    expect(table.size).toBe(2);
  });

  it('forgets the secrets that a newer record of a key no longer names', () => {
    const table = new KeyTable([key('a', 'old', 'kept')]);
    table.put(key('a', 'kept', 'new'));
    expect(table.find('old')).toBeUndefined();
    expect(table.find('kept')).toBeDefined();
    expect(table.find('new')).toBeDefined();
    expect(table.size).toBe(1);
  });

  it('keeps a secret that another key has taken over', () => {
    const table = new KeyTable([key('a', 'shared')]);
    table.put(key('b', 'shared'));
    table.delete('a');
    expect(table.find('shared')?.key.keyId).toBe('b');
  });

  it('takes the removal of an unknown key for done', () => {
    const table = new KeyTable([key('a', 'h')]);
    table.delete('x');
    expect(table.size).toBe(1);
  });
});
