import type { Container } from '@azure/cosmos';
import { describe, expect, it } from 'vitest';
import { StoreUnavailableError } from '../entities.ts';
import { itemsOf, nameOf, pack, unpack } from './items.ts';

/** A container whose every request ends in one way. */
function containerThat(answer: () => Promise<unknown>): Container {
  const item = { read: answer, replace: answer, delete: answer };
  return { item: () => item, items: { create: answer } } as unknown as Container;
}

function failing(code: unknown, substatus?: number): Container {
  const error = Object.assign(new Error('key=hush'), { code, substatus });
  return containerThat(() => Promise.reject(error));
}

const open = (): boolean => false;
const item = { pk: 'p', id: 'i' };

describe('items of Cosmos DB', () => {
  it('are absent or not as they were read when the service says so, which is no failure', async () => {
    const gone = itemsOf(failing(404), open);
    expect(await gone.read('p', 'i')).toBeUndefined();
    expect(await gone.replace(item, 'tag')).toBeUndefined();
    expect(await gone.remove('p', 'i')).toBe(false);
    expect(await itemsOf(failing(409), open).create(item)).toBeUndefined();
    expect(await itemsOf(failing(412), open).replace(item, 'tag')).toBeUndefined();
  });

  it('are not taken for absent where a replica was behind or a container is gone', async () => {
    for (const substatus of [1002, 1003]) {
      const behind = containerThat(() => Promise.resolve({ statusCode: 404, substatus }));
      for (const container of [behind, failing(404, substatus)]) {
        await expect(itemsOf(container, open).read('p', 'i')).rejects.toThrow(
          StoreUnavailableError,
        );
      }
    }
  });

  it('are unavailable while the service is, lets nobody in or asks to wait, or the store was closed', async () => {
    for (const code of [401, 403, 408, 429, 503, 'ECONNREFUSED', 'TimeoutError', undefined]) {
      const create = itemsOf(failing(code), open).create(item);
      await expect(create).rejects.toThrow(StoreUnavailableError);
    }
    const closed = itemsOf(failing(409), () => true);
    await expect(closed.create(item)).rejects.toThrow(StoreUnavailableError);
    await expect(itemsOf(failing(400), open).create(item)).rejects.toThrow(/refused a request/);
  });

  it('have names that Cosmos DB takes, no two the same', () => {
    const columns = ['a', 'A', 'a b', 'a/b', 'a?b', 'a#b', '~a', '', 'é', 'x'.repeat(1_200)];
    const names = columns.map(nameOf);
    expect(new Set(names).size).toBe(columns.length);
    for (const name of names) expect(name).toMatch(/^[\w~.:@+=,-]{1,250}$/);
  });

  it('give texts back as they were packed', async () => {
    for (const text of ['', '=', 'x'.repeat(5_000), '{"é":"\\ud800"}'.repeat(500)]) {
      expect(await unpack(await pack(text))).toBe(text);
    }
    expect((await pack('x'.repeat(5_000))).length).toBeLessThan(200);
  });
});
