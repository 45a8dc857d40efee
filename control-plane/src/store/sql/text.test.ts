import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromColumn, fromCursor, maxTextBytes, toColumn, toCursor } from './text.ts';

const anyText = fc
  .array(fc.integer({ min: 0, max: 0xff_ff }))
  .map((units) => String.fromCharCode(...units));

describe('text in a column', () => {
  it('is the text itself where every database holds that', () => {
    expect(toColumn("user@example.com 'é' 😀")).toBe("user@example.com 'é' 😀");
  });

  it('comes back as it was, and holds nothing that a database refuses', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const column = toColumn(text);
        expect(column).not.toContain('\0');
        expect(column.isWellFormed()).toBe(true);
        expect(fromColumn(column)).toBe(text);
      }),
    );
  });

  it('fits an index, and stays its own when the text is long', () => {
    const worst = ['\0', '\ud800', '\\', '字'].map((unit) => unit.repeat(maxTextBytes));
    const long = worst.flatMap((text) => [`${text}a`, `${text}b`, `${text}ab`]);
    const columns = [...worst, ...long].map(toColumn);
    expect(new Set(columns).size).toBe(columns.length);
    for (const column of columns) {
      expect(Buffer.byteLength(column)).toBeLessThanOrEqual(maxTextBytes);
    }
  });

  it('cannot be made to look like another', () => {
    const long = 'x'.repeat(3_000);
    expect(toColumn(toColumn(long))).not.toBe(toColumn(long));
    expect(toColumn('\\0000')).not.toBe(toColumn('\0'));
  });
});

describe('cursor', () => {
  it('brings a place back', () => {
    const place = [1_795_695_061_508, 'a "b"\\'];
    expect(fromCursor(toCursor(place), ['number', 'string'])).toEqual(place);
  });

  it('is refused when it is none, or one of another list', () => {
    const others = ['', 'x', '{}', toCursor(['1', 'a']), toCursor([1]), toCursor([1, 'a', 2])];
    for (const cursor of others) {
      expect(() => fromCursor(cursor, ['number', 'string'])).toThrow(RangeError);
    }
  });
});
