import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toolPath } from '../../tools.ts';

const program = toolPath('az');

/** The Python that Azure CLI runs in; undefined where there is none, or it was not installed by pip. */
export const azureCliPython =
  program === undefined ? undefined : /^#!(\S*python\S*)/.exec(readFileSync(program, 'utf8'))?.[1];

/**
 * Gives calls to Azure CLI itself, without a sign-in and without extensions.
 *
 * @param calls - the arguments of each
 * @returns those that it does not take, each with what it says; a call that it takes ends where it would sign in
 */
export function refusedByAzureCli(calls: Iterable<readonly string[]>): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-azure-cli-'));
  try {
    const { stdout, stderr, status, error } = spawnSync(
      azureCliPython!,
      ['-I', join(import.meta.dirname, 'azure-cli.py')],
      {
        encoding: 'utf8',
        input: JSON.stringify([...calls]),
        // Nothing of whoever runs this: no sign-in, no defaults, no extensions. Nor a network, which no call that is taken asks for.
        env: {
          HOME: folder,
          AZURE_CONFIG_DIR: folder,
          AZURE_CORE_COLLECT_TELEMETRY: 'no',
          AZURE_EXTENSION_USE_DYNAMIC_INSTALL: 'no',
          HTTPS_PROXY: 'http://127.0.0.1:9',
        },
      },
    );
    if (status !== 0) throw new Error(`Azure CLI could not be asked: ${stderr}`, { cause: error });
    return JSON.parse(stdout) as string[];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
