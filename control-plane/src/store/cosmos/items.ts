import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Container, JSONValue } from '@azure/cosmos';
import { StoreUnavailableError } from '../entities.ts';
import { portError } from './connection.ts';

/** One item of a container. */
export type Item = { readonly id: string; readonly pk: string };

/** An item as it was read: the tag changes with every write. */
export type Read<T> = { readonly item: T; readonly tag: string };

export type Parameters = readonly (string | number)[];

/**
 * What the adapter needs of a container: reads and writes of one item, each write conditional, and queries within one partition. So
 * little that nothing hangs on a session, a batch or the time at which an item goes.
 *
 * @throws {StoreUnavailableError} from every method
 */
export interface Items {
  read<T extends Item>(pk: string, id: string): Promise<Read<T> | undefined>;
  /** @returns the tag; undefined when there is an item of this id */
  create(item: Item): Promise<string | undefined>;
  /** @returns the tag; undefined when the item is not as it was read */
  replace(item: Item, tag: string): Promise<string | undefined>;
  /** @returns whether there was one */
  remove(pk: string, id: string): Promise<boolean>;
  /** @param text - `SELECT … FROM c WHERE …` with `@0`, `@1`… for the parameters; the partition is added */
  query<T>(pk: string, text: string, parameters: Parameters): AsyncIterable<T>;
}

/** @param isClosed - asked before each request: the library itself works on after its end */
export function itemsOf(container: Container, isClosed: () => boolean): Items {
  const attempt = async <T>(work: () => Promise<T>, whatever: () => T): Promise<T> => {
    checkOpen();
    try {
      return await work();
    } catch (error) {
      const { code, substatus } = error as { code?: unknown; substatus?: number };
      const isAnswer = code === 409 || code === 412 || (code === 404 && !substatus);
      if (isAnswer) return whatever();
      throw portError(error);
    }
  };
  function checkOpen(): void {
    if (isClosed()) throw new StoreUnavailableError('the store was closed');
  }
  const none = (): undefined => undefined;

  return {
    read: <T extends Item>(pk: string, id: string) =>
      attempt<Read<T> | undefined>(async () => {
        const { resource, etag, substatus } = await container.item(id, pk).read();
        if (resource !== undefined) return { item: resource as T, tag: etag };
        // 404 with more to say: a replica that is behind the session, or a container that is gone. Nothing is known of the item.
        if (substatus) throw Object.assign(new Error('not looked up'), { code: 404, substatus });
        return undefined;
      }, none),
    create: (item) =>
      attempt<string | undefined>(async () => {
        const { etag } = await container.items.create(item);
        return etag;
      }, none),
    replace: (item, tag) =>
      attempt<string | undefined>(async () => {
        const { etag } = await container.item(item.id, item.pk).replace(item, {
          accessCondition: { type: 'IfMatch', condition: tag },
        });
        return etag;
      }, none),
    remove: (pk, id) =>
      attempt(
        async () => {
          await container.item(id, pk).delete();
          return true;
        },
        () => false,
      ),
    async *query<T>(pk: string, text: string, values: Parameters) {
      const parameters: { name: string; value: JSONValue }[] = values.map((value, at) => ({
        name: `@p${at}`,
        value,
      }));
      parameters.push({ name: '@pk', value: pk });
      // Said twice: the index is asked by the condition, and whatever executes the query cannot look elsewhere.
      const within = text
        .replaceAll(/@(\d+)/g, '@p$1')
        .replace(' FROM c WHERE ', ' FROM c WHERE c.pk = @pk AND ');
      const iterator = container.items.query({ query: within, parameters }, { partitionKey: pk });
      while (iterator.hasMoreResults()) {
        checkOpen();
        let rows: readonly T[] | undefined;
        try {
          ({ resources: rows } = (await iterator.fetchNext()) as { resources?: T[] });
        } catch (error) {
          throw portError(error);
        }
        yield* rows ?? [];
      }
    },
  };
}

/** What stands for a text in an id or a partition: the text itself where Cosmos DB takes it, else a digest. */
export function nameOf(column: string): string {
  if (/^[\w.:@+=,-]{1,250}$/.test(column)) return column;
  return `~${createHash('sha256').update(column).digest('base64url')}`;
}

const compress = promisify(gzip);
const decompress = promisify(gunzip);
/** Below, compression makes nothing smaller that is paid for. */
const smallText = 2_000;

/** A text as it is kept: an item has 2 MB at most, and each kilobyte is paid for. */
export async function pack(text: string): Promise<string> {
  if (text.length < smallText) return `=${text}`;
  return (await compress(text)).toString('base64');
}

export async function unpack(packed: string): Promise<string> {
  if (packed.startsWith('=')) return packed.slice(1);
  return (await decompress(Buffer.from(packed, 'base64'))).toString();
}

/** Requests of one call that are under way together at most. */
const together = 16;

/** Does the same for each, several at a time. */
export async function forEach<T>(
  values: readonly T[],
  work: (value: T) => Promise<void>,
): Promise<void> {
  const left = values.values();
  const lane = async (): Promise<void> => {
    for (const value of left) await work(value);
  };
  await Promise.all(Array.from({ length: Math.min(together, values.length) }, lane));
}

/** Waits some time before another try, longer each time: whoever was in the way is done by then. */
export async function pause(tries: number): Promise<void> {
  const ms = Math.random() * Math.min(1_000, 5 * 2 ** tries);
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
