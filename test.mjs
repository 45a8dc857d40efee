#!/usr/bin/env node
// Runs the tests on a checkout: installs what is missing, then vitest on the project's own Node. Plain JavaScript for any Node >= 18.
// --e2e runs real client programs instead of unit and integration tests, --packaging what the product is deployed with; all other
// arguments go to vitest.
// The last line is "N passed, N failed, N skipped". Exit code 1 when a test failed or none ran, and, where CI=true or
// AIGATEWAY_NO_SKIP=1, when one was skipped.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runChild } from './scripts/child-process.mjs';
import { install } from './scripts/install.mjs';
import { environmentWith, projectNode } from './scripts/project-node.mjs';
import { withServers } from './scripts/redis-server.mjs';
import { tally } from './scripts/test-report.mjs';

const root = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
/** Tests that have an installation and programs of their own. */
const suites = { '--e2e': 'smoke/clients', '--packaging': 'cdktf' };
const suite = Object.keys(suites).find((flag) => args.includes(flag));
const vitestArgs = args.filter((arg) => !(arg in suites));
const folder = mkdtempSync(join(tmpdir(), 'aigateway-test-'));

try {
  await install(root, { development: true });
  const packages = suite === undefined ? undefined : join(root, suites[suite]);
  if (packages !== undefined && existsSync(join(packages, 'package-lock.json'))) {
    await install(packages, { development: true });
  }
  const node = projectNode(root);
  const report = join(folder, 'report.json');
  const projects = suite === undefined ? ['unit', 'integration'] : [suite.slice('--'.length)];
  const chosen = vitestArgs.some((arg) => /^--project\b/.test(arg))
    ? []
    : projects.map((name) => `--project=${name}`);
  const code = await runChild(
    node,
    [
      join(root, 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      ...chosen,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...vitestArgs,
    ],
    { cwd: root, env: withServers(environmentWith(node), root) },
  );
  const written = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined;
  const result = tally(written, code, root);
  for (const problem of result.problems) console.log(problem);
  // With a name pattern vitest reports every other test as skipped; nobody wants to read them.
  const byName = vitestArgs.some((arg) => /^(-t|--testNamePattern)\b/.test(arg));
  const strict = process.env.CI === 'true' || process.env.AIGATEWAY_NO_SKIP === '1';
  if (!byName) for (const name of result.skipped) console.log(`SKIPPED ${name}`);
  const refused = strict && !byName && result.skipped.length > 0;
  if (refused) console.log('Skipped tests fail this run (CI=true or AIGATEWAY_NO_SKIP=1).');
  console.log(`${result.passed} passed, ${result.failed} failed, ${result.skipped.length} skipped`);
  process.exitCode = result.failed > 0 || refused ? 1 : 0;
} catch (error) {
  console.error(`Cannot test: ${error.message}`);
  console.log('0 passed, 1 failed, 0 skipped');
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
