import { createSealer } from '@aigateway/contract/sealer';
import { put } from '@aigateway/control-plane/http/view';
import { createSqliteStore } from '@aigateway/control-plane/store/sqlite/sqlite-store';
import type { CredentialDocument, ModelDocument } from '@aigateway/control-plane/store/documents';
import type { Entities } from '@aigateway/control-plane/store/entities';
import type { Store } from '@aigateway/control-plane/store/store';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reseal, resealLines } from './reseal.ts';

const [first, second, third] = [1, 2, 3].map(
  (number) => `a salt key of more than thirty-two bytes, no. ${number}`,
) as [string, string, string];
const at = '2026-01-01T00:00:00.000Z';
const tracked = { created_at: at, created_by: 'a', updated_at: at, updated_by: 'a' };

let store: Store;
beforeEach(async () => {
  store = await createSqliteStore({ path: ':memory:' });
});
afterEach(() => store.close());

async function fill(sealedWith: string, names: readonly string[]): Promise<void> {
  const sealer = createSealer([sealedWith]);
  await store.entities.write(
    names.flatMap((name) => {
      const model: ModelDocument = {
        ...tracked,
        model_id: name,
        model_name: name,
        litellm_params: {
          model: 'azure/m',
          api_key: sealer.seal(`key-${name}`),
          extra_headers: { 'x-a': sealer.seal(`header-${name}`), 'x-b': ['plain'] },
        },
        model_info: {},
        blocked: false,
      };
      const credential: CredentialDocument = {
        ...tracked,
        credential_name: name,
        credential_values: { api_key: sealer.seal(`secret-${name}`) },
        credential_info: {},
      };
      return [put('model', name, model), put('credential', name, credential)];
    }),
  );
}

async function opened(salt: string, name: string) {
  const sealer = createSealer([salt]);
  const model = await store.entities.get('model', name);
  const credential = await store.entities.get('credential', name);
  const { api_key, extra_headers } = model?.document.litellm_params ?? {};
  return [
    sealer.unseal(api_key as string),
    sealer.unseal((extra_headers as { 'x-a': string })['x-a']),
    sealer.unseal(credential?.document.credential_values['api_key'] as string),
  ];
}

describe('sealing a store anew', () => {
  it('leaves every secret readable by the new key alone, and changes nothing else', async () => {
    await fill(first, ['a', 'b']);
    const report = await reseal(store.entities, createSealer([second, first]), 'apply');
    expect(report).toEqual({ current: 0, outdated: 6, lost: [] });
    expect(await store.audit.list({ limit: 9 })).toMatchObject([
      { action: 'resealed', actor: 'command_line', route: '--reseal', after: report },
    ]);
    expect(await opened(second, 'a')).toEqual(['key-a', 'header-a', 'secret-a']);
    expect(await opened(second, 'b')).toEqual(['key-b', 'header-b', 'secret-b']);
    expect(await opened(first, 'a')).toEqual([undefined, undefined, undefined]);
    expect((await store.entities.get('model', 'a'))?.document).toMatchObject({
      ...tracked,
      litellm_params: { model: 'azure/m', extra_headers: { 'x-b': ['plain'] } },
    });
  });

  it('as a plan writes nothing', async () => {
    await fill(first, ['a']);
    const before = await store.entities.get('model', 'a');
    const report = await reseal(store.entities, createSealer([second, first]), 'plan');
    expect(report).toEqual({ current: 0, outdated: 3, lost: [] });
    expect(await store.audit.count({})).toBe(0);
    expect(await store.entities.get('model', 'a')).toEqual(before);
    expect(resealLines(report, 'plan')).not.toContain('Earlier keys are needed no more.');
  });

  it('goes on where it was broken off', async () => {
    await fill(first, ['a', 'b', 'c']);
    let writes = 0;
    const failing: Entities = {
      ...store.entities,
      get: store.entities.get.bind(store.entities),
      all: store.entities.all.bind(store.entities),
      write: (changes) => {
        writes += 1;
        return writes === 3
          ? Promise.reject(new Error('the connection broke'))
          : store.entities.write(changes);
      },
    } as Entities;
    const sealer = createSealer([second, first]);
    await expect(reseal(failing, sealer, 'apply')).rejects.toThrow('the connection broke');
    const rest = await reseal(store.entities, sealer, 'apply');
    expect(rest.current + rest.outdated).toBe(9);
    expect(rest.current).toBeGreaterThan(0);
    const again = await reseal(store.entities, createSealer([second]), 'apply');
    expect(again).toEqual({ current: 9, outdated: 0, lost: [] });
  });

  it('loses no secret that cannot be opened: it stays, and is named', async () => {
    await fill(third, ['old']);
    await fill(first, ['a']);
    const report = await reseal(store.entities, createSealer([second, first]), 'apply');
    expect(report).toEqual({ current: 0, outdated: 3, lost: ['model old', 'credential old'] });
    expect(await opened(third, 'old')).toEqual(['key-old', 'header-old', 'secret-old']);
    const lines = resealLines(report, 'apply').join('\n');
    expect(lines).toContain('model old');
    expect(lines).not.toContain('needed no more');
  });

  it('keeps what an administrator writes meanwhile', async () => {
    await fill(first, ['a']);
    const sealer = createSealer([second, first]);
    let isFirst = true;
    const racing = {
      all: store.entities.all.bind(store.entities),
      get: store.entities.get.bind(store.entities),
      write: async (changes: Parameters<Entities['write']>[0]) => {
        if (isFirst) {
          isFirst = false;
          await fill(first, ['a']);
          const model = await store.entities.get('model', 'a');
          if (model !== undefined)
            await store.entities.write([
              put('model', 'a', { ...model.document, model_name: 'renamed' }),
            ]);
        }
        return store.entities.write(changes);
      },
    } as Entities;
    await reseal(racing, sealer, 'apply');
    expect((await store.entities.get('model', 'a'))?.document.model_name).toBe('renamed');
    expect(await opened(second, 'a')).toEqual(['key-a', 'header-a', 'secret-a']);
  });
});
