import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pack, verify } from './airgap.ts';
import { toolPath } from '../tools.ts';

const helm = toolPath('helm');

describe.skipIf(helm === undefined)(
  `the bundle for places without internet${helm === undefined ? ': needs helm (npm run tools -- helm)' : ''}`,
  () => {
    let folder: string;
    let bundle: string;

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'aigateway-airgap-test-'));
      bundle = join(folder, 'bundle.tar.gz');
      writeFileSync(join(folder, 'image.tar'), 'the image');
      await pack(join(folder, 'image.tar'), bundle);
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    /** The bundle with something done to its files. */
    function tampered(script: string): string {
      const other = join(folder, 'other.tar.gz');
      const done = spawnSync(
        'sh',
        [
          '-c',
          `mkdir t && tar -xzf ${bundle} -C t && cd t && ${script} && tar -czf ${other} . && cd .. && rm -r t`,
        ],
        { cwd: folder, encoding: 'utf8' },
      );
      expect(done.stderr).toBe('');
      return other;
    }

    it('has image, chart, Terraform, lists of contents and what verifies it, and is whole', async () => {
      const { stdout } = spawnSync('tar', ['-tzf', bundle], { encoding: 'utf8' });
      const files = stdout.split('\n');
      expect(files).toEqual(
        expect.arrayContaining([
          './image.tar',
          './manifest.json',
          './verify.ts',
          './sbom/gateway.cdx.json',
          './sbom/infrastructure.cdx.json',
        ]),
      );
      expect(files.some((file) => /^\.\/aigateway-.*\.tgz$/.test(file))).toBe(true);
      expect(
        files.filter((file) => /^\.\/terraform\/pvc-(dev|staging|prod)/.test(file)).length,
      ).toBeGreaterThanOrEqual(3);
      expect(await verify(bundle)).toEqual([]);
    });

    it('lists what the gateway is made of', () => {
      const { stdout } = spawnSync('tar', ['-xzOf', bundle, './sbom/gateway.cdx.json'], {
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
      });
      const { bomFormat, components } = JSON.parse(stdout) as {
        bomFormat: string;
        components: { name: string }[];
      };
      expect(bomFormat).toBe('CycloneDX');
      expect(components.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['undici', 'ioredis', 'zod']),
      );
    });

    it.each([
      ['echo x >> image.tar', 'image.tar was changed'],
      ['rm sbom/gateway.cdx.json', 'sbom/gateway.cdx.json is missing'],
      ['echo x > more', 'more is not in the list'],
      ['rm manifest.json', 'manifest.json is missing or no JSON'],
    ])('tells that somebody did: %s', async (script, problem) => {
      expect(await verify(tampered(script))).toEqual([problem]);
    });

    it('tells that it is cut off', async () => {
      const short = join(folder, 'short.tar.gz');
      writeFileSync(short, readFileSync(bundle).subarray(0, 1000));
      expect((await verify(short)).join()).toContain('cannot be unpacked');
    });
  },
);
