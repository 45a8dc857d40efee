import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const pageFile = join(root, 'docs/operations/well-architected.md');
const page = readFileSync(pageFile, 'utf8');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const pillars = page.split(/^## /m).slice(1);

/** What stands in the last column of a line: tests and programs, commands of npm, pages. */
function proofsIn(line) {
  const cell = line.split('|').at(-2) ?? '';
  return [
    ...[...cell.matchAll(/`npm (?:run )?([\w:]+)[^`]*`/g)].map(([, name]) => name in scripts),
    ...[...cell.matchAll(/`([\w./-]+\/[\w./-]+\.\w+)`/g)].map(([, file]) =>
      existsSync(join(root, file)),
    ),
    ...[...cell.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target]) =>
      existsSync(join(root, 'docs/operations', target)),
    ),
    ...[...cell.matchAll(/`\.ci\/run`|`curl [^`]+`/g)].map(() => true),
  ];
}

describe('the Well-Architected review', () => {
  it('has the five pillars', () => {
    expect(pillars.map((text) => text.split('\n')[0])).toEqual([
      'Reliability',
      'Security',
      'Cost optimisation',
      'Operational excellence',
      'Performance efficiency',
    ]);
  });

  const lines = pillars.flatMap((text) =>
    text
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| Recommendation')),
  );

  it.each(lines.map((line) => [line.split('|')[1]?.trim(), line]))(
    'shows by something that is there: %s',
    (_name, line) => {
      const proofs = proofsIn(line);
      expect(proofs.length).toBeGreaterThan(0);
      expect(proofs).not.toContain(false);
    },
  );
});
