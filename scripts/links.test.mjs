import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const skipped = new Set(['node_modules', 'dist', 'coverage', '.git', '.venv']);

function markdownFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return markdownFiles(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** The text without fenced blocks: what stands in them is not rendered as links. */
function proseOf(file) {
  return readFileSync(file, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
}

/** Anchors of a page's headings, by GitHub's rule. */
function anchorsOf(file) {
  const headings = proseOf(file).matchAll(/^#{1,6} (.+)$/gm);
  return [...headings].map(([, text]) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function brokenLinks(file) {
  return [...proseOf(file).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path, anchor] = target.split('#');
      const page = path === '' ? file : resolve(dirname(file), path);
      if (!existsSync(page)) return true;
      return anchor !== undefined && page.endsWith('.md') && !anchorsOf(page).includes(anchor);
    });
}

/** Files of the project that a page names in code spans, from the root or beside the page. */
function missingFiles(file) {
  const named =
    /`((?:contract|proxy|gateway|smoke|scripts|docs|src)\/[\w./-]+\.(?:ts|mjs|md|json|yaml))`/g;
  return [...proseOf(file).matchAll(named)]
    .map(([, path]) => path)
    .filter((path) => !existsSync(join(root, path)) && !existsSync(join(dirname(file), path)));
}

describe('the documentation', () => {
  const files = markdownFiles(root);

  it('has pages to check', () => {
    expect(files.map((file) => relative(root, file))).toContain('README.md');
  });

  it.each(files.map((file) => [relative(root, file), file]))(
    '%s links to nothing that is not there',
    (_name, file) => {
      expect(brokenLinks(file)).toEqual([]);
    },
  );

  it.each(files.map((file) => [relative(root, file), file]))(
    '%s names no file that is not there',
    (_name, file) => {
      expect(missingFiles(file)).toEqual([]);
    },
  );

  it('numbers its decisions without a gap, in their names and titles', () => {
    const decisions = files.filter((file) => relative(root, file).startsWith('docs/decisions/'));
    const numbers = decisions.map((file) => {
      const [, ofTitle] = /^# (\d+)\. /.exec(readFileSync(file, 'utf8')) ?? [];
      return [Number(relative(join(root, 'docs/decisions'), file).slice(0, 4)), Number(ofTitle)];
    });
    const inOrder = decisions.map((_, at) => [at + 1, at + 1]);
    expect(numbers.toSorted(([one], [other]) => one - other)).toEqual(inOrder);
  });
});
