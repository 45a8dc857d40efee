// oxlint-disable-next-line no-restricted-imports -- the pages on disk are what is compared
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorDefinitions, errorMessage, type ErrorDefinition } from './errors.ts';

const definitions: [string, ErrorDefinition][] = Object.entries(errorDefinitions);
const codes = definitions.map(([code]) => code);

function page(path: string): string {
  return readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8');
}

describe('the table of errors', () => {
  it('is the one of docs/reference/errors.md, row by row', () => {
    const rows = page('reference/errors.md')
      .split('\n')
      .filter((line) => /^\| `[a-z_]+` \| \d{3} \|/.test(line));
    expect(rows).toEqual(
      definitions.map(
        ([code, { status, type, layer, message }]) =>
          `| \`${code}\` | ${status} | \`${type}\` | ${layer} | ${message} |`,
      ),
    );
  });

  it('has an entry for each code in docs/operations/failure-modes.md, in the same order', () => {
    const entries = page('operations/failure-modes.md').matchAll(/^### `([a-z_]+)`/gm);
    expect([...entries].map(([, code]) => code)).toEqual(codes);
  });

  it('answers with client or server errors only', () => {
    expect(definitions.filter(([, { status }]) => status < 400 || status > 599)).toEqual([]);
  });
});

describe('the public text of an error', () => {
  it('has its placeholders filled', () => {
    expect(errorMessage('method_not_allowed', { method: 'PUT', allowed: 'GET' })).toBe(
      'This path does not take the method PUT. Allowed: GET.',
    );
  });

  it('names what is missing rather than showing braces', () => {
    expect(errorMessage('method_not_allowed')).toBe(
      'This path does not take the method method. Allowed: allowed.',
    );
  });

  it('is never filled twice, whatever a value holds', () => {
    expect(errorMessage('model_access_denied', { model: '{param} $&' })).toContain('"{param} $&"');
  });
});
