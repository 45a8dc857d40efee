import { parseArgs } from 'node:util';

/** What the command line asks for. */
export type Command = {
  readonly action:
    | 'start'
    | 'check'
    | 'routes'
    | 'version'
    | 'help'
    | 'migrate'
    | 'reseal'
    | 'import';
  readonly configFile: string | undefined;
  readonly port: string | undefined;
  readonly host: string | undefined;
  readonly role: Role | undefined;
  /** Given with the action `migrate`: see `parseMigration`. */
  readonly migration: string | undefined;
  /** Given with the action `import`. */
  readonly import: 'plan' | 'apply' | undefined;
  /** Given with the action `reseal`. */
  readonly reseal: 'plan' | 'apply' | undefined;
};

/** What runs in this process: the data plane alone, the management API alone, or both planes on one port. */
export type Role = (typeof roles)[number];

export const roles = ['proxy', 'control-plane', 'all'] as const;

const options = {
  config: { type: 'string', short: 'c' },
  port: { type: 'string', short: 'p' },
  host: { type: 'string' },
  role: { type: 'string' },
  migrate: { type: 'string' },
  reseal: { type: 'string' },
  import: { type: 'string' },
  check: { type: 'boolean' },
  routes: { type: 'boolean' },
  version: { type: 'boolean', short: 'v' },
  help: { type: 'boolean', short: 'h' },
} as const;

export const usage = `Usage: npm start -- [options]

  --config FILE, -c   a LiteLLM config.yaml (also CONFIG_FILE_PATH)
  --port N, -p        main port, 8080 unless set (also PORT)
  --host ADDRESS      address to listen on, 127.0.0.1 in development
  --role ROLE         proxy: models; control-plane: the management API and its store; all: both (also AIGATEWAY_ROLE)
  --migrate ACTION    of the schema of DATABASE_URL or COSMOS_ENDPOINT: status, plan, apply, or rollback:N (back to step N); then exit
  --reseal ACTION     of the secrets in the store: plan, or apply: seals them with the key in use (LITELLM_SALT_KEY); then exit
  --import litellm    what the data base of a LiteLLM proxy (LITELLM_DATABASE_URL) would bring into the store, and what not;
                      litellm:apply takes it over; then exit
  --check             check the configuration, print what was understood, and exit
  --routes            print the paths that are answered, and exit
  --version, -v       print the version, and exit
  --help, -h          print this, and exit

Settings come from the environment, .env in the working directory, and the file: docs/reference/configuration.md.
`;

/**
 * Reads the command line.
 *
 * @throws {TypeError} for an option that is not known, and a port that is none
 */
export function readCommand(args: readonly string[]): Command {
  const { values } = parseArgs({ args: [...args], options, strict: true, allowPositionals: false });
  // Further on it counts as the variable PORT, which is not what was written.
  if (values.port !== undefined && !(/^\d+$/.test(values.port) && Number(values.port) <= 65_535))
    throw new TypeError(`--port must be a whole number from 0 to 65535, found "${values.port}"`);
  const { role } = values;
  if (role !== undefined && !isRole(role))
    throw new TypeError(`--role must be one of ${roles.join(', ')}, found "${role}"`);
  const { reseal } = values;
  if (reseal !== undefined && reseal !== 'plan' && reseal !== 'apply')
    throw new TypeError(`--reseal must be plan or apply, found "${reseal}"`);
  if (values.import !== undefined && !/^litellm(:apply)?$/.test(values.import))
    throw new TypeError(`--import must be litellm or litellm:apply, found "${values.import}"`);
  const action = (['help', 'version', 'routes', 'check'] as const).find(
    (name) => values[name] === true,
  );
  return {
    action: action ?? jobIn(values) ?? 'start',
    configFile: values.config,
    port: values.port,
    host: values.host,
    role,
    migration: values.migrate,
    import:
      values.import === undefined ? undefined : values.import === 'litellm' ? 'plan' : 'apply',
    reseal,
  };
}

/** What is done instead of a start. */
function jobIn(values: {
  migrate?: string | undefined;
  reseal?: string | undefined;
  import?: string | undefined;
}): 'migrate' | 'reseal' | 'import' | undefined {
  return (['migrate', 'reseal', 'import'] as const).find((name) => values[name] !== undefined);
}

/** Whether a text names a role. */
export function isRole(text: string): text is Role {
  return (roles as readonly string[]).includes(text);
}
