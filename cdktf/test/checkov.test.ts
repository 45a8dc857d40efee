import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toolPath } from '../../scripts/tools.ts';
import { snapshotFolder } from '../src/snapshot-files.ts';

/** A finding that is accepted, and why; each resource is named. */
type Accepted = { check: string; title: string; reason: string; resources: string[] };
type Finding = { check_id: string; file_path: string; resource: string };

const checkov = toolPath('checkov');

function findings(program: string): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-checkov-'));
  try {
    for (const file of readdirSync(snapshotFolder)) {
      const text = readFileSync(join(snapshotFolder, file), 'utf8');
      // Checkov cannot read a section of settings with anything but maps in it.
      const readable = JSON.stringify(
        JSON.parse(text, (key, value: unknown) => (key === 'required_version' ? undefined : value)),
      );
      writeFileSync(join(folder, file), readable);
    }
    const options = ['--framework', 'terraform_json', '--skip-download', '--compact', '--quiet'];
    const { stdout } = spawnSync(program, ['-d', folder, ...options, '-o', 'json'], {
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    const report = JSON.parse(stdout) as {
      results: { failed_checks: Finding[] };
      summary: { passed: number; parsing_errors: number };
    };
    expect(report.summary.parsing_errors).toBe(0);
    expect(report.summary.passed).toBeGreaterThan(0);
    return report.results.failed_checks
      .map(({ check_id: check, file_path: file, resource }) => {
        const stack = file.replace(/^\//, '').replace(/\.tf\.json$/, '');
        return `${check} ${stack} ${resource.split('.').at(-1)}`;
      })
      .toSorted((a, b) => a.localeCompare(b));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(checkov === undefined)('checkov (npm run tools)', () => {
  it('finds what is accepted with a reason, and nothing else', () => {
    const file = join(import.meta.dirname, 'data', 'checkov-accepted.json');
    const accepted = JSON.parse(readFileSync(file, 'utf8')) as Accepted[];
    const expected = accepted
      .flatMap(({ check, resources }) => resources.map((resource) => `${check} ${resource}`))
      .toSorted((a, b) => a.localeCompare(b));
    expect(findings(checkov ?? '')).toEqual(expected);
    for (const { reason } of accepted) expect(reason).toMatch(/^[A-Z].{20,}\.$/);
  });
});
