import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aigateway-base-image-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the script says where the registry answers so. */
function pinned(answer: string) {
  const docker = `#!/bin/sh\nprintf '%s\\n' "$*" > "${folder}/called"\necho "${answer}"\n`;
  writeFileSync(join(folder, 'docker'), docker, { mode: 0o755 });
  const { status, stdout, stderr } = spawnSync(
    'bash',
    [join(import.meta.dirname, 'base-image.sh')],
    { encoding: 'utf8', env: { PATH: `${folder}:/usr/bin:/bin` } },
  );
  return { status, stdout, stderr };
}

const dockerfile = readFileSync(join(import.meta.dirname, '..', '..', 'Dockerfile'), 'utf8');
const [, base = ''] = /^ARG BUILD_IMAGE=(\S+)$/m.exec(dockerfile)!;
const digest = `sha256:${'a'.repeat(64)}`;

it('names the image of the Dockerfile by the digest that the registry has', () => {
  expect(pinned(digest)).toEqual({ status: 0, stdout: `${base}@${digest}\n`, stderr: '' });
  expect(readFileSync(join(folder, 'called'), 'utf8')).toBe(
    `buildx imagetools inspect ${base} --format {{.Manifest.Digest}}\n`,
  );
});

it('names none where the registry has told no digest', () => {
  expect(pinned('<nil>')).toMatchObject({ status: 1, stdout: '' });
});
