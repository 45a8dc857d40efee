import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './child-process.ts';
import type { Ended } from './child-process.ts';
import { clientsFolder } from './client-packages.ts';

/** Whether smoke/clients/go can be built here, or what is missing. */
export type GoToolchain = { readonly isReady: true } | { readonly missing: string };

const source = join(clientsFolder, 'go');

/**
 * Where nothing of it is in Go's cache, the SDK with the standard library is three minutes of compiling on one core: more than
 * twice that on a machine that does other work. Later builds take a second.
 */
export const goLimitMs = 600_000;

/**
 * Looks for a Go that can build smoke/clients/go, and for the modules that its go.mod pins: in Go's own cache, or downloaded into it
 * where Go's settings allow that. What go.sum does not know is refused.
 */
export async function prepareGo(): Promise<GoToolchain> {
  const version = await go(['version']);
  if (version.status !== 0) return { missing: `go (${reasonOf(version)})` };
  const modules = await go(['mod', 'download']);
  if (modules.status !== 0) return { missing: `the modules of go.mod (${reasonOf(modules)})` };
  return { isReady: true };
}

/**
 * Builds smoke/clients/go together with the settings file that makes its clients.
 *
 * @param folder - takes the program; the sources stay as they are
 * @returns path of the program
 * @throws {Error} with what the compiler says
 */
export async function buildGoProgram(folder: string): Promise<string> {
  const overlay = join(folder, 'overlay.json');
  const settings = join(clientsFolder, 'settings', 'openai_go.go');
  writeFileSync(overlay, JSON.stringify({ Replace: { [join(source, 'openai_go.go')]: settings } }));
  const program = join(folder, process.platform === 'win32' ? 'clients.exe' : 'clients');
  const built = await go(['build', `-overlay=${overlay}`, `-o=${program}`, '.']);
  if (built.status !== 0) throw new Error(`go build failed:\n${built.stderr.slice(-3000)}`);
  return program;
}

async function go(args: readonly string[]): Promise<Ended> {
  const environment = Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  );
  return await run(
    {
      file: 'go',
      args,
      environment: {
        ...environment,
        CGO_ENABLED: '0',
        // Neither go.mod nor go.sum is written, no other Go is fetched, and no workspace around this one has a say.
        GOFLAGS: '-mod=readonly -buildvcs=false',
        GOTOOLCHAIN: 'local',
        GOWORK: 'off',
      },
      cwd: source,
    },
    goLimitMs,
  );
}

function reasonOf({ status, stdout, stderr }: Ended): string {
  const said = (stderr || stdout).trim().split('\n').at(-1) ?? '';
  return said === '' ? `it ended with ${String(status)}` : said.slice(0, 200);
}
