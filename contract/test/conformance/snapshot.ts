import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { schemaVersion, type KeyRecord } from '../../src/records.ts';
import {
  holderName,
  RepublishNeededError,
  SnapshotUnavailableError,
  type SnapshotPublisher,
  type SnapshotSource,
} from '../../src/snapshot.ts';
import { catalogue, Follower, holderRecord, keyRecord, listed } from '../snapshot.fixture.ts';

/** Both ends over one place that nothing was published to. */
export type SnapshotFixture = {
  readonly publisher: SnapshotPublisher;
  /** A second control plane's publisher; undefined where there can only be one. */
  readonly otherPublisher?: SnapshotPublisher;
  createSource(): SnapshotSource;
  close(): Promise<void>;
};

/** What every way from control planes to proxies must do. */
export function describeSnapshotConformance(
  name: string,
  setUp: () => Promise<SnapshotFixture>,
  options: { readonly skip?: boolean; readonly hasSeveralPublishers: boolean },
): void {
  describe.skipIf(options.skip)(`a snapshot ${name}`, () => {
    let fixture: SnapshotFixture;
    let sources: SnapshotSource[];

    beforeEach(async () => {
      fixture = await setUp();
      sources = [];
    });
    afterEach(async () => {
      await Promise.all(sources.map((source) => source.close()));
      await fixture.close();
    });

    function follow(): { source: SnapshotSource; follower: Follower; started: Promise<void> } {
      const source = fixture.createSource();
      const follower = new Follower();
      sources.push(source);
      return { source, follower, started: source.start(follower) };
    }

    it('brings what was published before to a proxy that starts', async () => {
      const named = catalogue({ models: [{ name: 'chat', hidden: false, accessGroups: [] }] });
      await fixture.publisher.republish(listed(keyRecord('a'), keyRecord('b')), named);
      const { follower, started } = follow();
      await started;
      expect(follower.keys).toEqual(
        new Map([
          ['a', keyRecord('a')],
          ['b', keyRecord('b')],
        ]),
      );
      expect(follower.catalogue).toEqual(named);
      expect(follower.revision).toBe(await fixture.publisher.revision());
      expect(follower.schemaVersion).toBe(schemaVersion);
    });

    it('is not started before there is something, and then is', async () => {
      const { source, follower, started } = follow();
      expect(source.standing().revision).toBe(0);
      const revision = await fixture.publisher.republish(listed(keyRecord('a')), catalogue());
      await started;
      expect(follower.keys.get('a')).toEqual(keyRecord('a'));
      expect(source.standing()).toMatchObject({ revision, refused: 0, connected: true });
      expect(source.standing().asOfMs).toBeGreaterThan(0);
    });

    it('says that nothing was published by revision 0, and publishes no change to it', async () => {
      expect(await fixture.publisher.revision()).toBe(0);
      const change = { kind: 'key', keyId: 'a', key: keyRecord('a') } as const;
      await expect(fixture.publisher.publish([change])).rejects.toThrow(RepublishNeededError);
    });

    it('brings every change to every proxy, in order', async () => {
      await fixture.publisher.republish(listed(keyRecord('a')), catalogue());
      const followed = [follow(), follow(), follow()];
      await Promise.all(followed.map(({ started }) => started));
      const blocked = keyRecord('a', { blocked: true });
      const changed = catalogue({ models: [{ name: 'new', hidden: false, accessGroups: [] }] });
      await fixture.publisher.publish([{ kind: 'key', keyId: 'b', key: keyRecord('b') }]);
      await fixture.publisher.publish([{ kind: 'key', keyId: 'a', key: blocked }]);
      await fixture.publisher.publish([{ kind: 'catalogue', catalogue: changed }]);
      const last = await fixture.publisher.publish([{ kind: 'key', keyId: 'b', key: undefined }]);
      for (const { follower } of followed) {
        await follower.until(() => follower.revision === last);
        expect([...follower.keys.values()]).toEqual([blocked]);
        expect(follower.catalogue).toEqual(changed);
        const revisions = follower.steps.map(({ revision }) => revision);
        expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
        expect(follower.replacements).toBe(1);
      }
    });

    it('makes one step of several changes, the last word on a key counting', async () => {
      const first = await fixture.publisher.republish(listed(keyRecord('a')), catalogue());
      const { follower, started } = follow();
      await started;
      const last = await fixture.publisher.publish([
        { kind: 'key', keyId: 'b', key: keyRecord('b') },
        { kind: 'key', keyId: 'c', key: keyRecord('c') },
        { kind: 'key', keyId: 'b', key: undefined },
        { kind: 'key', keyId: 'a', key: undefined },
      ]);
      expect(last).toBe(first + 1);
      await follower.until(() => follower.keys.size === 1 && follower.keys.has('c'));
      expect(follower.steps.every(({ revision }) => revision === last)).toBe(true);
    });

    it('brings holders of limits to every proxy beside the keys, one change at a time', async () => {
      await fixture.publisher.republish(
        listed(keyRecord('a'), holderRecord('kept'), holderRecord('goes')),
        catalogue(),
      );
      const { follower, started } = follow();
      await started;
      expect(follower.holders.size).toBe(2);
      const tag = holderRecord('kept', { kind: 'tag', limits: { requestsPerMinute: 1 } });
      await fixture.publisher.publish([{ kind: 'holder', name: holderName(tag), holder: tag }]);
      const gone = holderName(holderRecord('goes'));
      await fixture.publisher.publish([{ kind: 'holder', name: gone, holder: undefined }]);
      await follower.until(() => !follower.holders.has(gone));
      expect([...follower.holders.values()]).toEqual([holderRecord('kept'), tag]);
      expect([...follower.keys.keys()]).toEqual(['a']);
      expect(follower.replacements).toBe(1);
      const { follower: late, started: lateStarted } = follow();
      await lateStarted;
      expect(late.holders).toEqual(follower.holders);
    });

    it('finds a key by the hash of each of its secrets the moment it is published', async () => {
      await fixture.publisher.republish(listed(), catalogue());
      const { source, follower, started } = follow();
      await started;
      const key = keyRecord('a', { secrets: [{ hash: 'new' }, { hash: 'old', notAfter: 5 }] });
      await fixture.publisher.publish([{ kind: 'key', keyId: 'a', key }]);
      // As a proxy does: what is held already is not asked for.
      const find = async (hash: string) =>
        follower.keys.get('a') ?? (await source.findKey(hash))?.key;
      expect(await find('new')).toEqual(key);
      expect(await find('old')).toEqual(key);
      expect(await source.findKey('other')).toBeUndefined();
    });

    it('finds no key by a secret that is no longer one of its own, nor one that is gone', async () => {
      await fixture.publisher.republish(listed(keyRecord('a'), keyRecord('b')), catalogue());
      const { source, follower, started } = follow();
      await started;
      const key = keyRecord('a', { secrets: [{ hash: 'new' }] });
      await fixture.publisher.publish([{ kind: 'key', keyId: 'a', key }]);
      const last = await fixture.publisher.publish([{ kind: 'key', keyId: 'b', key: undefined }]);
      await follower.until(() => follower.revision === last);
      expect(await source.findKey('hash-of-a')).toBeUndefined();
      expect(await source.findKey('hash-of-b')).toBeUndefined();
    });

    it('replaces everything at a revision that is later, also from fewer keys', async () => {
      const first = await fixture.publisher.republish(
        listed(keyRecord('a'), keyRecord('b')),
        catalogue(),
      );
      const { source, follower, started } = follow();
      await started;
      const second = await fixture.publisher.republish(listed(keyRecord('c')), catalogue());
      expect(second).toBeGreaterThan(first);
      await follower.until(() => follower.revision === second);
      expect([...follower.keys.keys()]).toEqual(['c']);
      expect(await source.findKey('hash-of-a')).toBeUndefined();
      await fixture.publisher.publish([{ kind: 'key', keyId: 'd', key: keyRecord('d') }]);
      await follower.until(() => follower.keys.has('d'));
      expect(follower.replacements).toBe(2);
    });

    it('lets go of a start that never came', async () => {
      const { source, follower, started } = follow();
      await source.close();
      await started;
      expect(follower.replacements).toBe(0);
    });

    // Within one process there is one publisher, and nothing that cannot be told.
    if (!options.hasSeveralPublishers) return;
    const second = (): SnapshotPublisher => {
      if (fixture.otherPublisher === undefined) throw new Error('there is no second publisher');
      return fixture.otherPublisher;
    };

    it('takes changes of one control plane in while another republishes', async () => {
      const other = second();
      await fixture.publisher.republish(listed(keyRecord('a'), keyRecord('b')), catalogue());
      const { follower, started } = follow();
      await started;
      const changed = catalogue({ models: [{ name: 'new', hidden: false, accessGroups: [] }] });
      async function* whileOthersChange(): AsyncGenerator<KeyRecord> {
        yield keyRecord('a');
        yield keyRecord('b');
        await other.publish([{ kind: 'key', keyId: 'a', key: undefined }]);
        await other.publish([{ kind: 'key', keyId: 'b', key: keyRecord('b', { blocked: true }) }]);
        await other.publish([{ kind: 'key', keyId: 'c', key: keyRecord('c') }]);
        await other.publish([{ kind: 'catalogue', catalogue: changed }]);
      }
      const last = await fixture.publisher.republish(whileOthersChange(), catalogue());
      await follower.until(() => follower.revision === last);
      expect(follower.keys).toEqual(
        new Map([
          ['b', keyRecord('b', { blocked: true })],
          ['c', keyRecord('c')],
        ]),
      );
      expect(follower.catalogue).toEqual(changed);
    });

    it('keeps each change of control planes that publish at once', async () => {
      const other = second();
      await fixture.publisher.republish(listed(), catalogue());
      const { follower, started } = follow();
      await started;
      const publish = (publisher: SnapshotPublisher, keyId: string) =>
        publisher.publish([{ kind: 'key', keyId, key: keyRecord(keyId) }]);
      const numbers = Array.from({ length: 20 }, (_, index) => index);
      await Promise.all([
        ...numbers.map((number) => publish(fixture.publisher, `a${number}`)),
        ...numbers.map((number) => publish(other, `b${number}`)),
      ]);
      await follower.until(() => follower.keys.size === 40);
      expect(follower.revision).toBe(await other.revision());
    });

    it('cannot tell of a key before there is a snapshot', async () => {
      const { source } = follow();
      await expect(source.findKey('hash-of-a')).rejects.toThrow(SnapshotUnavailableError);
    });
  });
}
