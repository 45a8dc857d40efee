import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSealer } from './sealer.ts';

const first = 'a root secret of more than thirty-two bytes, no. 1';
const second = 'a root secret of more than thirty-two bytes, no. 2';

describe('a sealer', () => {
  it('gives back any text, and shows nothing of it', () => {
    const sealer = createSealer([first]);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (secret) => {
        const sealed = sealer.seal(secret);
        expect(sealer.unseal(sealed)).toBe(secret);
        expect(sealer.isSealed(sealed)).toBe(true);
        if (secret.length > 3) expect(sealed).not.toContain(secret);
      }),
    );
  });

  it('never seals alike', () => {
    const sealer = createSealer([first]);
    expect(sealer.seal('same')).not.toBe(sealer.seal('same'));
  });

  it('reads what the previous secret sealed, and says that it is to be sealed anew', () => {
    const before = createSealer([first]).seal('secret');
    const after = createSealer([second, first]);
    expect(after.unseal(before)).toBe('secret');
    expect(after.isOutdated(before)).toBe(true);
    expect(after.isOutdated(after.seal('secret'))).toBe(false);
  });

  it('opens nothing that is sealed with another secret, changed or not sealed at all', () => {
    const sealer = createSealer([first]);
    const sealed = sealer.seal('secret');
    const other = sealed.at(-4) === 'A' ? 'B' : 'A';
    for (const text of [
      createSealer([second]).seal('secret'),
      `${sealed.slice(0, -4)}${other}${sealed.slice(-3)}`,
      sealed.slice(0, 30),
      'sealed:1:',
      'plain',
      '',
    ]) {
      expect(sealer.unseal(text)).toBeUndefined();
    }
  });
});
