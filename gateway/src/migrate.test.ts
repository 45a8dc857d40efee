import { describe, expect, it } from 'vitest';
import { migrate, parseMigration } from './migrate.ts';

describe('a migration on the command line', () => {
  it('is one of four, and nothing that resembles one', () => {
    expect(['status', 'plan', 'apply', 'rollback:0', 'rollback:12'].map(parseMigration)).toEqual([
      { action: 'status' },
      { action: 'plan' },
      { action: 'apply' },
      { action: 'rollback', to: 0 },
      { action: 'rollback', to: 12 },
    ]);
    for (const text of [
      '',
      'up',
      'rollback',
      'rollback:',
      'rollback:-1',
      'rollback:1x',
      'apply ',
    ]) {
      expect(() => parseMigration(text)).toThrow(TypeError);
    }
  });

  it('needs a database that others use: a file brings itself up to date', async () => {
    await expect(migrate({ action: 'apply' }, {})).rejects.toThrow(/neither DATABASE_URL nor/);
  });

  it('of Cosmos DB cannot be taken back', async () => {
    const environment = { COSMOS_ENDPOINT: 'https://127.0.0.1:1', COSMOS_KEY: 'a2V5' };
    await expect(migrate({ action: 'rollback', to: 0 }, environment)).rejects.toThrow(
      /no steps to take back/,
    );
  });
});
