import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missingPackage } from './install.mjs';
import { nodePackage } from './project-node.mjs';

let root;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'aigateway-install-'));
  mkdirSync(join(root, 'node_modules'));
});
afterEach(() => rmSync(root, { recursive: true }));

const node = { [`node_modules/${nodePackage}`]: { version: '26.0.0', optional: true } };
const wanted = {
  '': { name: 'x' },
  'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/b': { version: '2.0.0', dev: true },
  'node_modules/other-platform': { version: '1.0.0', optional: true },
  ...node,
};
const lock = (name, packages) => writeFileSync(join(root, name), JSON.stringify({ packages }));

function difference(installed, development = true) {
  lock('package-lock.json', wanted);
  if (installed) lock('node_modules/.package-lock.json', installed);
  return missingPackage(root, { development });
}

const a = { 'node_modules/a': wanted['node_modules/a'] };
const b = { 'node_modules/b': wanted['node_modules/b'] };

describe('what keeps an installation from being the locked one', () => {
  it('is nothing where all is there but the packages of other platforms', () => {
    expect(difference({ ...a, ...b, ...node })).toBeUndefined();
  });

  it('is nothing for the gateway where only development packages were left out', () => {
    expect(difference({ ...a, ...node }, false)).toBeUndefined();
    expect(difference({ ...a, ...node }, true)).toBe('node_modules/b is missing');
  });

  it('is a missing Node binary, although that package is optional', () => {
    expect(difference({ ...a, ...b })).toBe(`node_modules/${nodePackage} is missing`);
  });

  it('is another version, or the same with other contents', () => {
    const at = (entry) => difference({ 'node_modules/a': entry, ...b, ...node });
    expect(at({ version: '1.0.1', integrity: 'sha512-a' })).toBe(
      'node_modules/a is not the locked 1.0.0',
    );
    expect(at({ version: '1.0.0', integrity: 'sha512-x' })).toBe(
      'node_modules/a is not the locked 1.0.0',
    );
  });

  it('is an installation that never finished', () => {
    expect(difference(undefined)).toBe('nothing is installed');
    writeFileSync(join(root, 'node_modules/.package-lock.json'), '{"packages": {');
    expect(missingPackage(root, { development: true })).toBe('nothing is installed');
  });
});
