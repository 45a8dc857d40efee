import {
  snapshotCatalogueKey,
  snapshotHashesKey,
  snapshotHeadKey,
  snapshotKeysKey,
  snapshotLogKey,
} from '@aigateway/contract/channels';
import { redisScript } from '@aigateway/contract/script';
import type { SnapshotHead, SnapshotSigner } from '@aigateway/contract/signing';
import { singleKind } from '@aigateway/contract/snapshot';
import type { Cluster, Redis } from 'ioredis';
import {
  openHead,
  SnapshotAssembly,
  SnapshotRefusedError,
  type ChangedRecord,
  type CompleteSnapshot,
  type ReadRecord,
} from '../snapshot-state.ts';

/** More changes than this are not followed one by one: reading everything is cheaper. */
const mostChanges = 5000;
/** Keys asked for at once while everything is read: some milliseconds' worth of checking. */
const scanCount = 250;

/**
 * What changed after a revision, with the head that it leads to, all at one moment.
 *
 * KEYS head, log, keys, catalogue; ARGV generation, revision, most entries. Returns the sealed head ('' = none), how the
 * rest is to be read (`changes`; `gap` when the log does not lead on from the revision), then of each record that changed kind,
 * id, the revision before (0 = none), the revision now, and text ('' = gone).
 */
const readChanges = redisScript(`
local head = redis.call('HMGET', KEYS[1], 'sealed', 'generation', 'revision')
if not head[1] then return {'', 'gap'} end
if head[2] ~= ARGV[1] then return {head[1], 'gap'} end
if head[3] == ARGV[2] then return {head[1], 'changes'} end
local from = string.format('%.0f', tonumber(ARGV[2]) + 1)
local entries = redis.call('XRANGE', KEYS[2], from .. '-0', '+', 'COUNT', ARGV[3])
local first, last = entries[1], entries[#entries]
if not first or first[1] ~= from .. '-0' then return {head[1], 'gap'} end
if string.match(last[1], '^%d+') ~= head[3] or #entries == tonumber(ARGV[3]) then return {head[1], 'gap'} end
local result, places = {head[1], 'changes'}, {}
for _, entry in ipairs(entries) do
  local kind, id, revision = entry[2][2], entry[2][4], string.match(entry[1], '^%d+')
  local place = places[kind .. id]
  if place then
    result[place] = revision
  else
    local text
    if kind == 'catalogue' then text = redis.call('GET', KEYS[4]) else text = redis.call('HGET', KEYS[3], id) end
    result[#result + 1] = kind
    result[#result + 1] = id
    result[#result + 1] = entry[2][6]
    result[#result + 1] = revision
    places[kind .. id] = #result
    result[#result + 1] = text or ''
  end
end
return result`);

/** The key that a secret's hash leads to. KEYS head, keys, hashes; ARGV hash. Returns sealed head, key id, text; less when there is none. */
const readKey = redisScript(`
local sealed = redis.call('HGET', KEYS[1], 'sealed')
if not sealed then return {} end
local id = redis.call('HGET', KEYS[3], ARGV[1])
if not id then return {sealed} end
return {sealed, id, redis.call('HGET', KEYS[2], id) or ''}`);

/** What changed, or `gap`: it cannot be told, everything must be read. */
export type Changes =
  | {
      readonly sealed: string;
      readonly head: SnapshotHead;
      readonly changed: readonly ChangedRecord[];
    }
  | 'gap';

/** Reads what a control plane published. It checks signatures, and tells what is missing by the head. */
export class SnapshotReader {
  readonly #redis: Redis | Cluster;
  readonly #signer: SnapshotSigner;

  constructor(redis: Redis | Cluster, signer: SnapshotSigner) {
    this.#redis = redis;
    this.#signer = signer;
  }

  /** Undefined when there is none. @throws {SnapshotRefusedError} */
  async head(): Promise<SnapshotHead | undefined> {
    const sealed = await this.#redis.hget(snapshotHeadKey, 'sealed');
    return sealed === null ? undefined : openHead(this.#signer, sealed);
  }

  /**
   * What changed after a head.
   *
   * @throws {SnapshotRefusedError} when the head is not ours
   */
  async changes(since: SnapshotHead): Promise<Changes | undefined> {
    const { generation, revision } = since;
    const [sealed = '', how, ...fields] = (await readChanges(
      this.#redis,
      [
        snapshotHeadKey,
        snapshotLogKey,
        snapshotKeysKey(generation),
        snapshotCatalogueKey(generation),
      ],
      [generation, revision, mostChanges],
    )) as string[];
    if (sealed === '') return undefined;
    const found = openHead(this.#signer, sealed);
    // What stands beside the sealed head is only a hint: what it says itself decides.
    if (found.generation === generation && found.revision < revision) {
      throw new SnapshotRefusedError('older', 'head');
    }
    if (how !== 'changes') {
      // There is nothing between a head and itself: what stands beside it says otherwise, and is not ours.
      const isSame = found.generation === generation && found.revision === revision;
      if (isSame) throw new SnapshotRefusedError('forged', 'head');
      return 'gap';
    }
    const changed = Array.from({ length: fields.length / 5 }, (_, index) => {
      const [kind = '', id = '', before, changedAt, text] = fields.slice(index * 5);
      return {
        kind,
        id,
        text: text === '' ? undefined : text,
        before: Number(before),
        changedAt: Number(changedAt),
      };
    });
    return { sealed, head: found, changed };
  }

  /**
   * Everything, at a revision not before the head's.
   *
   * @param keep - is given the records as they are read; of several with one id the last one counts
   * @returns `gap` when a new generation has begun meanwhile
   * @throws {SnapshotRefusedError}
   */
  async all(
    head: SnapshotHead,
    keep: (records: readonly ReadRecord[]) => Promise<void>,
  ): Promise<(CompleteSnapshot & { readonly sealed: string }) | 'gap'> {
    const assembly = new SnapshotAssembly(this.#signer);
    const take = (records: readonly ReadRecord[]): Promise<void> => {
      for (const record of records) assembly.put(record);
      return keep(records);
    };
    // The scan sees each key that was there all the time; what changed meanwhile is read after it.
    await this.#scan(head.generation, take);
    const changes = await this.changes(head);
    if (changes === undefined || changes === 'gap') return 'gap';
    await take(changes.changed);
    return { ...assembly.complete(changes.head), sealed: changes.sealed };
  }

  async #scan(
    generation: number,
    take: (records: readonly ReadRecord[]) => Promise<void>,
  ): Promise<void> {
    const text = await this.#redis.get(snapshotCatalogueKey(generation));
    if (text !== null) await take([{ kind: 'catalogue', id: '', text }]);
    const keys = snapshotKeysKey(generation);
    let cursor = '0';
    do {
      const [next, fields] = await this.#redis.hscan(keys, cursor, 'COUNT', scanCount);
      const records: ReadRecord[] = [];
      for (let at = 0; at < fields.length; at += 2) {
        const id = fields[at] ?? '';
        records.push({ kind: singleKind(id), id, text: fields[at + 1] ?? '' });
      }
      await take(records);
      cursor = next;
    } while (cursor !== '0');
  }

  /** A key by hash of its secret: its id, its signed text and the generation of the head beside it. @throws {SnapshotRefusedError} */
  async key(
    generation: number,
    hash: string,
  ): Promise<
    { readonly head: SnapshotHead; readonly id?: string; readonly text?: string } | undefined
  > {
    const [sealed, id, text] = (await readKey(
      this.#redis,
      [snapshotHeadKey, snapshotKeysKey(generation), snapshotHashesKey(generation)],
      [hash],
    )) as (string | undefined)[];
    if (sealed === undefined) return undefined;
    return {
      head: openHead(this.#signer, sealed),
      ...(id !== undefined && text !== undefined && { id, text }),
    };
  }
}
