import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdTagger, type TaggedKind } from './affinity.ts';

const secret = 'a root secret of at least 32 bytes!';
const tagger = new IdTagger({ current: secret });
const id = 'resp_0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071';

const kind = fc.constantFrom<TaggedKind>('response', 'item', 'conversation', 'encrypted');
const resource = fc.stringMatching(/^[\w-]{1,63}$/);
const original = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.stringMatching(/^(resp|rs|msg|fc|file|assistant)[_-][A-Za-z0-9]{1,60}$/),
  fc.stringMatching(/^agw_?[rice]?[A-Za-z0-9_-]{0,40}$/).filter((text) => text !== ''),
);

describe('a tagged id', () => {
  it('leads its owner back to the original and its resource', () => {
    fc.assert(
      fc.property(kind, resource, fc.string(), original, (anyKind, resourceId, owner, text) => {
        const wrapped = tagger.wrap(anyKind, resourceId, owner, text);
        expect(tagger.unwrap(wrapped, owner)).toEqual({
          kind: anyKind,
          original: text,
          resourceId,
        });
      }),
      { numRuns: 2_000 },
    );
  });

  it('is foreign to every other owner', () => {
    fc.assert(
      fc.property(
        resource,
        fc.string(),
        fc.string(),
        original,
        (resourceId, owner, other, text) => {
          fc.pre(owner !== other);
          expect(tagger.unwrap(tagger.wrap('item', resourceId, owner, text), other)).toBe(
            'foreign',
          );
        },
      ),
    );
  });

  it('keeps the prefix and the end of the original, in characters that every client takes', () => {
    const wrapped = tagger.wrap('response', 'eus2abcd', 'team-1', id);
    expect(wrapped).toMatch(/^resp_[A-Za-z0-9_-]+$/);
    expect(wrapped.endsWith(id.slice('resp_'.length))).toBe(true);
    expect(wrapped).toHaveLength(id.length + 18 + 'eus2abcd'.length);
  });

  it('is the same every time and is not tagged twice', () => {
    const wrapped = tagger.wrap('response', 'r1', 'team-1', id);
    expect(tagger.wrap('response', 'r1', 'team-1', id)).toBe(wrapped);
    expect(tagger.wrap('response', 'r1', 'team-1', wrapped)).toBe(wrapped);
    expect(tagger.wrap('response', 'r2', 'team-1', wrapped)).toBe(wrapped);
  });

  it('is foreign once any of its characters was changed', () => {
    const wrapped = tagger.wrap('response', 'r1', 'team-1', id);
    for (let at = 0; at < wrapped.length; at += 1) {
      const forged = `${wrapped.slice(0, at)}${wrapped[at] === 'x' ? 'y' : 'x'}${wrapped.slice(at + 1)}`;
      expect(typeof tagger.unwrap(forged, 'team-1')).toBe('string');
    }
  });

  it('cannot be turned into one of another kind or resource', () => {
    const wrapped = tagger.wrap('response', 'r1', 'team-1', id);
    expect(tagger.unwrap(wrapped.replace('agw_rC', 'agw_iC'), 'team-1')).toBe('foreign');
    expect(tagger.unwrap(wrapped.replace('agw_rCr1', 'agw_rCr2'), 'team-1')).toBe('foreign');
  });

  it('of the previous secret stays valid during a rotation, and no longer', () => {
    const next = 'another root secret of 32 bytes or more';
    const wrapped = tagger.wrap('item', 'r1', 'team-1', 'msg_1');
    const rotating = new IdTagger({ current: next, previous: secret });
    expect(rotating.unwrap(wrapped, 'team-1')).toMatchObject({ original: 'msg_1' });
    expect(rotating.wrap('item', 'r1', 'team-1', 'msg_1')).not.toBe(wrapped);
    expect(new IdTagger({ current: next }).unwrap(wrapped, 'team-1')).toBe('foreign');
  });

  it('is told from ids that others made', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('agw_'));
        expect(tagger.unwrap(text, 'team-1')).toBe('untagged');
      }),
    );
    expect(tagger.unwrap('msg_agw_rC', 'team-1')).toBe('untagged');
    expect(tagger.unwrap(id, 'team-1')).toBe('untagged');
  });

  it('refuses a resource id that would not survive in it', () => {
    expect(() => tagger.wrap('item', 'a b', 'o', 'msg_1')).toThrow(RangeError);
    expect(() => tagger.wrap('item', '', 'o', 'msg_1')).toThrow(RangeError);
    expect(() => tagger.wrap('item', 'x'.repeat(64), 'o', 'msg_1')).toThrow(RangeError);
  });

  it('is the same from the tagger of one answer', () => {
    const answer = tagger.forAnswer({ resourceId: 'r1', ownerId: 'team-1', stored: true });
    expect(answer.wrap('item', 'msg_1')).toBe(tagger.wrap('item', 'r1', 'team-1', 'msg_1'));
    expect(answer.wrap('item', 'msg_1')).toBe(tagger.wrap('item', 'r1', 'team-1', 'msg_1'));
    expect(answer.wrap('encrypted', 'gAAAA')).toBe(
      tagger.wrap('encrypted', 'r1', 'team-1', 'gAAAA'),
    );
  });
});
