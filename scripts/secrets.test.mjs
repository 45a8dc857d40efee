import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');

/** Forms in which keys are given out. Those of the tests are none of these: they say what they are. */
const forms = {
  'private key': /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s*[A-Za-z0-9+/=]{32}/,
  'key of Azure AI': /\b[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{10,30}AC[A-Z0-9]{2}[A-Za-z0-9]{4,}\b/,
  'key of a storage account': /AccountKey=[A-Za-z0-9+/]{60,}/i,
  'secret of an Entra application': /\b[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}\b/,
  'key of OpenAI': /\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}/,
  'key of Anthropic': /\bsk-ant-[a-z0-9]+-[A-Za-z0-9_-]{40,}/,
  'token of GitHub': /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})/,
  'token of npm': /\bnpm_[A-Za-z0-9]{36}\b/,
  'key of AWS': /\bA[KS]IA[0-9A-Z]{16}\b/,
  'key of Google': /\bAIza[A-Za-z0-9_-]{35}\b/,
  'token of Slack': /\bxox[abeprs]-\d{10,}-[A-Za-z0-9-]{20,}/,
  'signed address of Azure Storage': /[?&]sig=[A-Za-z0-9%]{40,}/,
};

/** One of each, put together here so that this file holds none. */
const examples = {
  'private key': `-----BEGIN RSA PRIVATE ${'KEY'}-----\n${'MIIE'.repeat(10)}`,
  'key of Azure AI': `${'a1'.repeat(26)}${'JQQJ'}99BAACYeBjFXJ3w3AAABACOG1234`,
  'key of a storage account': `Account${'Key'}=${'Ab1+'.repeat(21)}Ab==`,
  'secret of an Entra application': `abc8${'Q~'}${'x'.repeat(34)}`,
  'key of OpenAI': `sk-${'a'.repeat(24)}T3Blbk${'FJ'}${'b'.repeat(24)}`,
  'key of Anthropic': `sk-${'ant'}-api03-${'a'.repeat(50)}`,
  'token of GitHub': `ghp_${'a'.repeat(36)}`,
  'token of npm': `npm_${'a'.repeat(36)}`,
  'key of AWS': `AKIA${'ABCDEFGHIJKLXYZ1'}`,
  'key of Google': `AIza${'a'.repeat(35)}`,
  'token of Slack': `xoxb-${'1234567890'}-${'a'.repeat(24)}`,
  'signed address of Azure Storage': `?sp=r&${'sig'}=${'a'.repeat(43)}`,
};

/** What commits hold that looks like a secret and is none: the alphabet, in a test of what is struck out of logs. */
const harmless = [`AKIA${'ABCDEFGHIJKLMNOP'}`];

/** What is committed; of an unpacked archive, which holds nothing else, every file but those that were installed. */
function trackedFiles() {
  if (!existsSync(join(root, '.git'))) {
    const installed = /(?:^|\/)(?:node_modules|dist|coverage)\//;
    return readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
      (name) => !installed.test(name),
    );
  }
  const listed = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
  return listed.split('\0').filter((name) => name !== '');
}

/** What commits have added to files, with their names; of a shallow clone those that it has. */
function commits() {
  const args = [
    'log',
    '--no-textconv',
    '--no-renames',
    '-p',
    '-m',
    '--unified=0',
    '--format=%x00%H',
  ];
  const text = execFileSync('git', args, { cwd: root, encoding: 'latin1', maxBuffer: 2 ** 30 });
  return text
    .split('\0')
    .slice(1)
    .map((part) => {
      const added = part.slice(40).replaceAll(/^(?!\+).*\n/gm, '');
      return [part.slice(0, 40), harmless.reduce((left, one) => left.replaceAll(one, ''), added)];
    });
}

function formsIn(text) {
  return Object.entries(forms)
    .filter(([, form]) => form.test(text))
    .map(([name]) => name);
}

describe('the repository', () => {
  it.each(Object.entries(examples))('would not get a %s past this test', (name, example) => {
    expect(formsIn(example)).toContain(name);
  });

  it('holds no secret in any file', () => {
    const files = trackedFiles().filter((name) => lstatSync(join(root, name)).isFile());
    expect(files.length).toBeGreaterThan(500);
    const found = files.flatMap((name) =>
      formsIn(readFileSync(join(root, name), 'latin1')).map((form) => `${form} in ${name}`),
    );
    expect(found).toEqual([]);
  });

  // A secret that was taken out again is known all the same.
  it.skipIf(!existsSync(join(root, '.git')))('has held none in any commit', () => {
    const all = commits();
    expect(all.length).toBeGreaterThan(0);
    expect(all.some(([, added]) => added.includes('+const forms = {'))).toBe(true);
    const found = all.flatMap(([commit, added]) =>
      formsIn(added).map((form) => `${form} in ${commit}`),
    );
    expect(found).toEqual([]);
  });

  it('holds no file that keeps secrets', () => {
    const kept =
      /(?:^|\/)(?:\.env(?:\.(?!example).*)?|\.aigateway\/.*|[^/]*\.(?:pem|key|pfx|p12|db))$/;
    expect(trackedFiles().filter((name) => kept.test(name))).toEqual([]);
  });
});
