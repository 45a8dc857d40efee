import { describe, expect, it } from 'vitest';
import { namedStore } from './store-place.ts';

describe('the store that the environment names', () => {
  it('is none, PostgreSQL or Cosmos DB, never two', () => {
    expect(namedStore({ DATABASE_URL: ' ' })).toBeUndefined();
    expect(namedStore({ DATABASE_URL: 'postgres://db' })).toEqual({
      kind: 'postgres',
      connectionString: 'postgres://db',
    });
    expect(() =>
      namedStore({ DATABASE_URL: 'postgres://db', COSMOS_ENDPOINT: 'https://a' }),
    ).toThrow(/set one of them/);
  });

  it('is signed in to with a key or the identity that the process runs with', () => {
    const endpoint = { COSMOS_ENDPOINT: 'https://a.documents.azure.com:443/' };
    const credentials = [
      {},
      { AZURE_CLIENT_ID: 'app' },
      { AZURE_CLIENT_ID: 'app', AZURE_FEDERATED_TOKEN_FILE: '/token' },
      { COSMOS_KEY: 'key', AZURE_CLIENT_ID: 'app', COSMOS_DATABASE: 'other' },
    ].map((environment) => namedStore({ ...endpoint, ...environment }));
    const options = { endpoint: 'https://a.documents.azure.com', database: 'aigateway' };
    expect(credentials).toEqual([
      { kind: 'cosmos', options: { ...options, credential: { kind: 'managed-identity' } } },
      {
        kind: 'cosmos',
        options: { ...options, credential: { kind: 'managed-identity', clientId: 'app' } },
      },
      { kind: 'cosmos', options: { ...options, credential: { kind: 'workload-identity' } } },
      {
        kind: 'cosmos',
        options: { ...options, database: 'other', credential: { kind: 'key', key: 'key' } },
      },
    ]);
  });

  it('quotes nothing of an address that is none', () => {
    for (const wrong of [
      'a.documents.azure.com',
      'http://a',
      'https://key@a',
      'https://a?key=hush',
    ]) {
      expect(() => namedStore({ COSMOS_ENDPOINT: wrong })).toThrow(/^COSMOS_ENDPOINT must be/);
      expect(() => namedStore({ COSMOS_ENDPOINT: wrong })).not.toThrow(/hush/);
    }
  });
});
