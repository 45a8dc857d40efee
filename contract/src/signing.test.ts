import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SnapshotDigest, SnapshotSigner, type SnapshotHead } from './signing.ts';

const one = { current: 'one root secret of more than 32 bytes' };
const two = { current: 'two root secrets of more than 32 bytes' };

const head: SnapshotHead = {
  schemaVersion: 1,
  revision: 7,
  generation: 3,
  count: 2,
  digest: 'digest',
  digestKey: 'digest-key',
  signedBy: 'secret',
  at: 5,
};

describe('a signed record', () => {
  it('comes back as it was, whatever it says', () => {
    const signer = new SnapshotSigner(one);
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(), (id, body, revision) => {
        const record = { schemaVersion: 1, revision, body };
        expect(signer.verify('key', id, signer.sign('key', id, record))).toEqual(record);
      }),
    );
  });

  it('is refused once anything about it is changed', () => {
    const signer = new SnapshotSigner(one);
    const text = signer.sign('key', 'id', { schemaVersion: 1, revision: 12, body: '{"a":1}' });
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.nat(127), (at, code) => {
        const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
        fc.pre(changed !== text);
        expect(signer.verify('key', 'id', changed)).toBeUndefined();
      }),
    );
    expect(signer.verify('key', 'other', text)).toBeUndefined();
    expect(signer.verify('catalogue', 'id', text)).toBeUndefined();
    expect(new SnapshotSigner(two).verify('key', 'id', text)).toBeUndefined();
  });

  it('holds under the previous secret while that is known', () => {
    const text = new SnapshotSigner(one).sign('key', 'id', {
      schemaVersion: 1,
      revision: 1,
      body: '{}',
    });
    const rotating = new SnapshotSigner({ ...two, previous: one.current });
    expect(rotating.verify('key', 'id', text)?.body).toBe('{}');
  });
});

describe('a sealed head', () => {
  it('is opened by those who hold the secret, or the one before it, alone', () => {
    const sealed = new SnapshotSigner(one).seal(head);
    expect(new SnapshotSigner(one).open(sealed)).toEqual(head);
    expect(new SnapshotSigner({ ...two, previous: one.current }).open(sealed)).toEqual(head);
    expect(new SnapshotSigner(two).open(sealed)).toBeUndefined();
  });

  it('tells nothing of the digest, and is refused when changed or cut', () => {
    const signer = new SnapshotSigner(one);
    const sealed = signer.seal(head);
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('digest');
    expect(signer.seal(head)).not.toBe(sealed);
    for (let length = 0; length < sealed.length; length += 1) {
      expect(signer.open(sealed.slice(0, length))).toBeUndefined();
    }
    const bytes = Buffer.from(sealed, 'base64url');
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    expect(signer.open(bytes.toString('base64url'))).toBeUndefined();
  });
});

describe('the root secret', () => {
  it.each(['', 'short', 'x'.repeat(31)])('signs nothing when it is guessable: %j', (current) => {
    expect(() => new SnapshotSigner({ current })).toThrow(RangeError);
    expect(() => new SnapshotSigner({ ...one, previous: current })).toThrow(RangeError);
  });

  it('is told apart by a name that is not it', () => {
    const { fingerprint } = new SnapshotSigner(one);
    expect(new SnapshotSigner({ ...one, previous: two.current }).fingerprint).toBe(fingerprint);
    expect(new SnapshotSigner(two).fingerprint).not.toBe(fingerprint);
    expect(one.current).not.toContain(fingerprint);
  });
});

describe('the digest of a snapshot', () => {
  const records = fc.uniqueArray(fc.tuple(fc.string(), fc.nat()), { selector: ([id]) => id });

  it('depends on what is in it and not on the order', () => {
    fc.assert(
      fc.property(records, (list) => {
        const forwards = SnapshotDigest.create('key');
        const backwards = SnapshotDigest.create('key');
        for (const [id, revision] of list) forwards.toggle('key', id, revision);
        for (const [id, revision] of list.toReversed()) backwards.toggle('key', id, revision);
        expect(forwards.toString()).toBe(backwards.toString());
      }),
    );
  });

  it('is as before when a record was added and taken out, and goes on from a head', () => {
    const digest = SnapshotDigest.create();
    digest.toggle('key', 'a', 1);
    const before = digest.toString();
    const later = SnapshotDigest.of({ ...head, digest: before, digestKey: digest.key });
    later.toggle('key', 'b', 2);
    expect(later.toString()).not.toBe(before);
    later.toggle('key', 'b', 2);
    expect(later.toString()).toBe(before);
  });

  it('differs by kind, id, revision and key', () => {
    const of = (key: string, ...record: Parameters<SnapshotDigest['toggle']>): string => {
      const digest = SnapshotDigest.create(key);
      digest.toggle(...record);
      return digest.toString();
    };
    const all = [
      of('key', 'key', 'a', 1),
      of('key', 'key', 'b', 1),
      of('key', 'key', 'a', 2),
      of('key', 'catalogue', 'a', 1),
      of('other', 'key', 'a', 1),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
