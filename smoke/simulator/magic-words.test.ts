import { describe, expect, it } from 'vitest';

import { readMagicWords, withoutMagicWords } from './magic-words.ts';

describe('magic words', () => {
  it('are read whatever their case and whether they use underscores', () => {
    expect(readMagicWords('[SIM:BLOCK_OUTPUT] [sim:tokens 12]')).toMatchObject({
      blockOutput: true,
      tokens: 12,
    });
  });

  it('take JSON arguments with brackets and quotes inside', () => {
    const json = '{"list":["a]b",[1]],"text":"say \\"]\\""}';
    expect(readMagicWords(`please [SIM:tool write ${json}] now`).tools).toEqual([
      { name: 'write', arguments: json },
    ]);
  });

  it('are also taken from a header', () => {
    expect(readMagicWords('hello', 'split 3; fault reset mid-body')).toMatchObject({
      splitBytes: 3,
      fault: 'reset mid-body',
    });
  });

  it('leave unknown commands and ordinary brackets alone', () => {
    expect(readMagicWords('[SIM:dance] [x] [SIM:tokens')).toEqual(readMagicWords(''));
  });

  it('are left out of echoes', () => {
    expect(withoutMagicWords('before [sim:tool x {"a":[1]}] after [y]')).toBe('before  after [y]');
  });
});
