// oxlint-disable-next-line no-restricted-imports -- the page on disk is what is compared
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { configurationPage } from './reference-page.ts';

it('matches the page in docs/reference; if not, run: node scripts/reference.ts', () => {
  const page = new URL('../../docs/reference/configuration.md', import.meta.url);
  expect(readFileSync(page, 'utf8')).toBe(configurationPage());
});
