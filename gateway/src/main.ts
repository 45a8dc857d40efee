import { releaseMemory } from './garbage-collection.ts';
import { describe } from '@aigateway/contract/describe';
import type { Environment } from '@aigateway/contract/environment-config';
import type { ServerSettings } from '@aigateway/contract/server-settings';
import { routeList } from '@aigateway/proxy/app';
import { createLogger } from '@aigateway/proxy/telemetry/logger';
import manifest from '../package.json' with { type: 'json' };
import { banner } from './banner.ts';
import { isRole, readCommand, roles, usage, type Command, type Role } from './command-line.ts';
import { ConfigFileError } from './config-file.ts';
import { problemLines, readConfiguration, type Configuration } from './configuration.ts';
import { readEnvironment, type ProcessEnvironment } from './environment.ts';
import { whenParentEnds } from './parent.ts';
import { reloadOnChange } from './reload.ts';
import { startRole, type Running } from './roles.ts';
import { rootSecrets } from './start.ts';

const { version } = manifest;

/** The version with the commit that was built, so that a caller can tell which of two revisions has answered. */
function builtVersion(revision: string | undefined): string {
  return revision !== undefined && /^[0-9a-f]{7,40}$/.test(revision)
    ? `${version}+${revision}`
    : version;
}

/** Who read the output has gone, as `head` does and a collector of logs that ends: what is asked of this process goes on. */
function outliveReaders(...outputs: readonly NodeJS.WriteStream[]): void {
  for (const output of outputs) {
    output.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(lines: readonly string[]): void {
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exitCode = 1;
}

async function main(args: readonly string[]): Promise<void> {
  let command: Command;
  try {
    command = readCommand(args);
  } catch (error) {
    fail([(error as Error).message, '', usage]);
    return;
  }
  switch (command.action) {
    case 'help':
      print(usage);
      return;
    case 'version':
      print(version);
      return;
    case 'routes':
      for (const { method, path } of routeList()) print(`${method.padEnd(7)}${path}`);
      print(
        '\nIn front of a path: /v1, nothing, /openai/v1, or /openai/deployments/{model}, which names the model.',
      );
      return;
    case 'migrate':
      await runMigration(command.migration ?? '');
      return;
    case 'reseal':
    case 'import':
    case 'copy':
    case 'backup':
    case 'restore':
    case 'keys':
      await runJob(command);
      return;
    case 'check':
    case 'doctor':
    case 'start':
      await run(command);
  }
}

async function run(command: Command): Promise<void> {
  const directory = process.cwd();
  const environment = readEnvironment(directory);
  const role = command.role ?? roleIn(environment);
  if (role === undefined) {
    fail([`AIGATEWAY_ROLE: must be one of ${roles.join(', ')}`]);
    return;
  }
  const isCheck = command.action === 'check' || command.action === 'doctor';
  const simulatorUrl = role === 'control-plane' ? undefined : startSimulatorOnce;
  const read = (simulatorAddress: (() => Promise<string>) | undefined, variables: Environment) =>
    readConfiguration({
      command,
      process: { ...environment, variables: { ...variables, AIGATEWAY_ROLE: role } },
      simulatorUrl: simulatorAddress,
    });
  let configuration: Configuration;
  try {
    configuration = await read(isCheck ? undefined : simulatorUrl, environment.variables);
  } catch (error) {
    if (!(error instanceof ConfigFileError)) throw error;
    fail([error.message]);
    return;
  }
  if (command.action === 'doctor') {
    await examine(command, role, configuration, environment.file);
    return;
  }
  if (isCheck) print(describe(configuration.compiled));
  const problems = problemLines(configuration);
  if (problems.length > 0) {
    fail(['The configuration cannot be used:', ...problems.map((line) => `  ${line}`)]);
    await stopSimulator?.();
    return;
  }
  if (isCheck) return;
  await serve(role, configuration, environment.file, () =>
    read(simulatorUrl, readEnvironment(directory).variables),
  );
}

async function examine(
  { json, apiVersion }: Command,
  role: Role,
  configuration: Configuration,
  environmentFile: string,
): Promise<void> {
  const { diagnose } = await import('./doctor/doctor.ts');
  const { hasFailed, reportJson, reportLines } = await import('./doctor/report.ts');
  const { environment } = configuration;
  const findings = await diagnose({
    role,
    configuration,
    environment,
    environmentFile,
    apiVersion,
  });
  print(json === true ? reportJson(findings) : reportLines(findings).join('\n'));
  if (hasFailed(findings)) process.exitCode = 1;
}

async function runMigration(action: string): Promise<void> {
  const { migrate, parseMigration } = await import('./migrate.ts');
  try {
    const { variables } = readEnvironment(process.cwd());
    for (const line of await migrate(parseMigration(action), variables)) print(line);
  } catch (error) {
    fail([error instanceof Error ? error.message : String(error)]);
  }
}

/** A job on the store, with the configuration of a control plane. */
async function runJob(command: Command): Promise<void> {
  const { runStoreJob } = await import('./store-jobs.ts');
  try {
    const process = readEnvironment(globalThis.process.cwd());
    const variables = { ...process.variables, AIGATEWAY_ROLE: 'control-plane' };
    const configuration = await readConfiguration({
      command,
      process: { ...process, variables },
      simulatorUrl: undefined,
    });
    const { environment } = configuration;
    const secret = rootSecrets(configuration.compiled.server, environment);
    const { lines, isWhole } = await runStoreJob(command, { configuration, environment, secret });
    if (!isWhole) fail(lines);
    else for (const line of lines) print(line);
  } catch (error) {
    fail([error instanceof Error ? error.message : String(error)]);
  }
}

/** A developer gets the whole product; in production nobody gets a store that was not asked for. */
function roleIn({ variables, profile }: ProcessEnvironment): Role | undefined {
  const named = variables['AIGATEWAY_ROLE']?.trim();
  if (!named) return profile === 'development' ? 'all' : 'proxy';
  return isRole(named) ? named : undefined;
}

let simulator: Promise<string> | undefined;
let stopSimulator: (() => Promise<void>) | undefined;

/** Loaded only where it is used: it is no part of a gateway in production. */
function startSimulatorOnce(): Promise<string> {
  simulator ??= import('@aigateway/smoke/simulator/simulator').then(async ({ startSimulator }) => {
    const running = await startSimulator();
    stopSimulator = () => running.close();
    return running.url;
  });
  return simulator;
}

async function serve(
  role: Role,
  configuration: Configuration,
  environmentFile: string,
  reread: () => Promise<Configuration>,
): Promise<void> {
  releaseMemory();
  const { compiled } = configuration;
  const environment = { ...configuration.environment };
  const { server } = compiled;
  const secret = rootSecrets(server, environment);
  const logger = createLogger(server.logLevel);
  const input = {
    configuration,
    environment,
    secret,
    version: builtVersion(environment['AIGATEWAY_REVISION']),
    logger,
  };
  const running = await startRole(role, input).catch((error: unknown) => {
    // A fault of the program is shown whole; what is wrong with its surroundings is said.
    const isFault = !(error instanceof Error) || error instanceof TypeError;
    if (isFault || error instanceof ReferenceError) throw error;
    fail([listenProblem(error, server) ?? `Cannot start: ${error.message}`]);
    // Part of the gateway may be up already, which would keep the process alive without the rest.
    process.exit(1);
  });
  for (const { level, code, path, message } of compiled.notices) {
    if (level === 'warning') logger.warn({ code, setting: path.join('.') }, message);
    else logger.info({ code, setting: path.join('.') }, message);
  }
  stopOnSignal(
    running,
    environment['npm_lifecycle_event'] !== undefined,
    reloadOnChange(configuration, reread, { running, environment, environmentFile }),
  );
  // Last: who waits for it may send a signal at once.
  print(banner(configuration, running));
}

function stopOnSignal(running: Running, isRunByNpm: boolean, stopWatching: () => void): void {
  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    // A second signal is somebody who does not want to wait.
    if (stopping) process.exit(1);
    stopping = true;
    stopWatching();
    running.logger.info({ signal }, 'stopping: requests under way are finished');
    await running.stop();
    await stopSimulator?.();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
  if (isRunByNpm) whenParentEnds(() => void (stopping || stop('npm has ended')));
}

/** Why a port cannot be had, and what chooses another in its place; undefined for any other error. */
function listenProblem(
  { code, port, address }: NodeJS.ErrnoException & { port?: number; address?: string },
  server: ServerSettings,
): string | undefined {
  const isOps = port === server.opsPort && port !== server.port;
  const choice = isOps ? 'AIGATEWAY_OPS_PORT or ops_port' : '--port or PORT';
  if (code === 'EADDRINUSE')
    return `${address}:${port} is in use by another program: choose another with ${choice}.`;
  if (code === 'EACCES')
    return `This user may not listen on ${address}:${port}: choose a port above 1023 with ${choice}.`;
  return undefined;
}

outliveReaders(process.stdout, process.stderr);
await main(process.argv.slice(2));
