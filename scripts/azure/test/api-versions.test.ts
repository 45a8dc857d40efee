import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isServedVersion } from '../../../smoke/simulator/api-versions.ts';
import { newerThan, pinnedVersions, versionReport } from '../api-versions.ts';

const published = ['2024-10-21', '2025-04-01-preview', '2026-02-01', '2026-05-01-preview', 'v1'];

describe('newer api-versions', () => {
  it('of a stable one are stable, of a preview all', () => {
    expect(newerThan('2024-10-21', published)).toEqual(['2026-02-01']);
    expect(newerThan('2025-03-01-preview', published)).toEqual([
      '2025-04-01-preview',
      '2026-02-01',
      '2026-05-01-preview',
    ]);
    expect(newerThan('2026-05-01-preview', published)).toEqual([]);
  });

  it('stand beside the place that pins one', () => {
    expect(
      versionReport(
        [
          { where: 'here', version: '2024-10-21' },
          { where: 'there', version: '2026-02-01' },
        ],
        published,
      ),
    ).toBe(
      '| where | pinned | newer |\n|---|---|---|\n| here | 2024-10-21 | 2026-02-01 |\n| there | 2026-02-01 | none |\n',
    );
  });

  it('are looked for whatever is pinned, and that is a version that the simulated Azure has', async () => {
    const pinned = await pinnedVersions();
    expect(pinned[0]?.where).toBe('the gateway, by default');
    for (const { version } of pinned)
      expect([version, isServedVersion(version)]).toEqual([version, true]);
  });

  const run = (input: string) =>
    spawnSync(process.execPath, [join(import.meta.dirname, '..', 'api-versions.ts')], {
      input,
      encoding: 'utf8',
    });

  it('are told by the exit code', () => {
    expect(run('2099-01-01\n').status).toBe(2);
    expect(run('2022-12-01\n').status).toBe(0);
    expect(run('').status).toBe(1);
  });
});
