import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';

/** The folder of the clients' own packages. */
export const clientsFolder = import.meta.dirname;

/** Path of a file of one of the clients' packages. */
export function packageFile(...path: string[]): string {
  return join(clientsFolder, 'node_modules', ...path);
}

/**
 * Tests of a client whose packages may not be installed: they are then skipped, and say so.
 *
 * @param packages - names in smoke/clients/package.json
 */
export function describeClient(name: string, packages: readonly string[], tests: () => void): void {
  const missing = packages.filter((wanted) => !existsSync(packageFile(wanted, 'package.json')));
  const reason = `${missing.join(', ')} not installed: run "npm ci" in smoke/clients`;
  describeUnless(missing.length > 0 ? reason : undefined, name, tests);
}

/** Tests that are skipped, with a line on standard error that says why, when there is a reason to. */
export function describeUnless(reason: string | undefined, name: string, tests: () => void): void {
  if (reason !== undefined) process.stderr.write(`SKIPPED ${name}: ${reason}\n`);
  const title = reason === undefined ? name : `${name} (skipped: ${reason})`;
  describe.skipIf(reason !== undefined)(title, () => {
    tests();
  });
}
