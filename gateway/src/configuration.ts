import { resolve } from 'node:path';
import {
  settingsOfFile,
  withSettings,
  type Settings,
} from '@aigateway/contract/changeable-settings';
import { configure, type Compiled } from '@aigateway/contract/compile';
import type { Environment } from '@aigateway/contract/environment-config';
import type { JsonObject } from '@aigateway/contract/records';
import { formatProblem } from '@aigateway/contract/config-problems';
import type { Command } from './command-line.ts';
import { ConfigFileError, readConfigFile, readConfigText, type ConfigFile } from './config-file.ts';
import { keepSecret, newKey, newRootSecret, type KeptSecret } from './data-directory.ts';
import type { ProcessEnvironment } from './environment.ts';

/** Everything that decides what runs, read and checked. */
export type Configuration = {
  readonly compiled: Compiled;
  readonly environment: Environment;
  /** Without its values, which are compiled. */
  readonly file: Omit<ConfigFile, 'raw'>;
  /** Where the master key is kept, when this machine made it itself. */
  readonly masterKey: KeptSecret | undefined;
  /** True when nothing upstream is configured and simulated models take its place. */
  readonly simulated: boolean;
  /** Settings of the file that a management API could change were they not the file's. */
  readonly settings: Settings;
  /** The same configuration with what a store holds besides. */
  readonly compileWith: (more: MoreConfiguration) => Compiled;
};

/** Entries of `model_list` and `credential_list`, and settings that the file leaves open. */
export type MoreConfiguration = {
  readonly models: readonly JsonObject[];
  readonly credentials: readonly JsonObject[];
  readonly settings: Settings;
};

/** What a configuration is made of. */
export type ConfigurationInput = {
  readonly command: Command;
  readonly process: ProcessEnvironment;
  /** Address of the simulator, where development may fall back to it; undefined where it may not. */
  readonly simulatorUrl: (() => Promise<string>) | undefined;
};

const configTextName = 'AIGATEWAY_CONFIG_TEXT';
const simulatedKeyVariable = 'SIMULATED_AZURE_KEY';

/**
 * Reads the configuration as it stands now: command line over environment over file.
 *
 * In the development profile alone, missing secrets are made and kept in the data directory, and with nothing upstream
 * configured the simulator's models are offered: in production a lost variable must fail, not invent answers.
 *
 * @throws {ConfigFileError} if the file cannot be used
 */
export async function readConfiguration(input: ConfigurationInput): Promise<Configuration> {
  const { command, process } = input;
  const { raw, ...file } = configFileOf(command, process);
  const isDevelopment = process.profile === 'development';
  const given: Environment = {
    ...process.variables,
    ...(command.port !== undefined && { PORT: command.port }),
    ...(command.host !== undefined && { HOST: command.host }),
  };
  let compiled = configure(raw, given);
  // A check writes nothing: it says what is there.
  if (!isDevelopment || command.action === 'check' || command.action === 'doctor') {
    return {
      compiled,
      environment: given,
      file,
      masterKey: undefined,
      simulated: false,
      ...openTo(raw, given),
    };
  }
  const directory = resolve(compiled.server.dataDir);
  const masterKey = compiled.records.keys.some(({ role }) => role === 'admin')
    ? undefined
    : keepSecret(directory, 'master-key', newKey);
  const environment: Environment = {
    ...given,
    ...(masterKey !== undefined && { LITELLM_MASTER_KEY: masterKey.value }),
    ...(given['AIGATEWAY_SECRET'] === undefined && {
      AIGATEWAY_SECRET: keepSecret(directory, 'secret', newRootSecret).value,
    }),
  };
  compiled = configure(raw, environment);
  const isEmpty = compiled.records.deployments.length === 0 && compiled.problems.length === 0;
  // Who follows a control plane has its models from there: none are invented.
  const isProxy = environment['AIGATEWAY_ROLE'] === 'proxy';
  const follows = isProxy && compiled.server.redis !== undefined;
  if (!isEmpty || follows || input.simulatorUrl === undefined) {
    return {
      compiled,
      environment,
      file,
      masterKey,
      simulated: false,
      ...openTo(raw, environment),
    };
  }
  const withSimulated = { ...raw, model_list: simulatedModels(await input.simulatorUrl()) };
  const withKey: Environment = { ...environment, [simulatedKeyVariable]: 'simulated-key' };
  return {
    compiled: configure(withSimulated, withKey),
    environment: withKey,
    file,
    masterKey,
    simulated: true,
    ...openTo(withSimulated, withKey),
  };
}

/** @throws {ConfigFileError} if it cannot be used, or there are two */
function configFileOf(command: Command, process: ProcessEnvironment): ConfigFile {
  const path = command.configFile ?? process.configFile;
  const { configText } = process;
  if (path === undefined)
    return configText === undefined ? noFile : readConfigText(configText, configTextName);
  if (configText !== undefined)
    throw new ConfigFileError(`${path} and ${configTextName} are both a configuration: keep one`);
  return readConfigFile(path);
}

function openTo(
  raw: ConfigFile['raw'],
  environment: Environment,
): Pick<Configuration, 'settings' | 'compileWith'> {
  const listed = (list: unknown) => (Array.isArray(list) ? list : []);
  return {
    settings: settingsOfFile(raw),
    compileWith: ({ models, credentials, settings }) =>
      configure(
        {
          ...withSettings(raw, settings),
          model_list: [...listed(raw['model_list']), ...models],
          credential_list: [...listed(raw['credential_list']), ...credentials],
        },
        environment,
      ),
  };
}

const noFile: ConfigFile = {
  raw: {},
  files: [],
  digest: '',
  positionOf: () => undefined,
};

/** Models of the simulator's default resource. */
function simulatedModels(url: string) {
  const names = [
    'gpt-5.3-codex',
    'gpt-4o',
    'gpt-4o-mini',
    'gpt-5',
    'text-embedding-3-small',
    'text-embedding-3-large',
  ];
  return names.map((name) => ({
    model_name: name,
    litellm_params: {
      model: `azure/${name}`,
      api_base: url,
      api_key: `os.environ/${simulatedKeyVariable}`,
      api_version: 'v1',
    },
    model_info: { id: `simulated-${name}`, base_model: `azure/${name}` },
  }));
}

/** Everything that keeps the gateway from running, one a line, with its place in the file where that is known. */
export function problemLines({ compiled, file }: Configuration): string[] {
  const lines = compiled.problems.map((problem) => {
    const position = file.positionOf(problem.path);
    return formatProblem(problem, position?.line);
  });
  const { profile, secret } = compiled.server;
  if (profile === 'production' && secret === undefined) {
    lines.push(
      'AIGATEWAY_SECRET: is not set. Give it 32 or more random bytes, the same for every replica and after every restart.',
    );
  }
  return lines;
}
