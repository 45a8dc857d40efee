// Plain JavaScript for any Node >= 18: test.mjs uses it.
import { relative } from 'node:path';

/**
 * Counts what a vitest run did. What vitest does not count as a test but fails the run all the same (a file that cannot be
 * loaded, an unhandled rejection, a run without tests) counts as one failure, so that the totals never look better than the run was.
 *
 * @param {object | undefined} report - vitest's JSON report; undefined when none was written
 * @param {number} exitCode - vitest's exit code
 * @param {string} root - the folder that files are named from
 * @returns {{ passed: number, failed: number, skipped: string[], problems: string[] }} `skipped` are names, `problems` lines for people
 */
export function tally(report, exitCode, root) {
  const problems = [];
  const skipped = [];
  let passed = 0;
  let failed = 0;
  for (const file of report?.testResults ?? []) {
    let failedHere = 0;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed += 1;
      else if (test.status === 'failed') failedHere += 1;
      else skipped.push(`${relative(root, file.name)} > ${test.fullName}`);
    }
    if (file.status === 'failed' && failedHere === 0) {
      failedHere = 1;
      problems.push(
        `FAILED ${relative(root, file.name)}: ${file.message || 'it failed outside its tests'}`,
      );
    }
    failed += failedHere;
  }
  if (failed === 0 && (passed === 0 || exitCode !== 0)) {
    const what = passed === 0 ? 'no test ran' : 'no test failed';
    problems.push(`FAILED ${what}, vitest ended with exit code ${exitCode}`);
    failed = 1;
  }
  return { passed, failed, skipped, problems };
}
