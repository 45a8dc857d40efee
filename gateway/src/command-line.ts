import { parseArgs } from 'node:util';

/** What the command line asks for. */
export type Command = {
  readonly action:
    | 'start'
    | 'check'
    | 'doctor'
    | 'routes'
    | 'version'
    | 'help'
    | 'migrate'
    | 'reseal'
    | 'import'
    | 'copy'
    | 'backup'
    | 'restore'
    | 'keys';
  readonly configFile: string | undefined;
  readonly port: string | undefined;
  readonly host: string | undefined;
  readonly role: Role | undefined;
  /** Findings of the action `doctor` are for programs. */
  readonly json: boolean | undefined;
  /** Version of the API that the action `doctor` tries besides. */
  readonly apiVersion: string | undefined;
  /** Given with the action `migrate`: see `parseMigration`. */
  readonly migration: string | undefined;
  /** Given with the action `import`. */
  readonly import: 'plan' | 'apply' | undefined;
  /** Given with the action `keys`. */
  readonly keys: 'report' | undefined;
  /** Given with the action `reseal`. */
  readonly reseal: 'plan' | 'apply' | undefined;
  /** Given with the action `copy`. */
  readonly copy: 'plan' | 'apply' | undefined;
  /** Given with the action `backup`: the file. */
  readonly backup: string | undefined;
  /** Given with the action `restore`. */
  readonly restore: { readonly action: 'plan' | 'apply'; readonly file: string } | undefined;
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
  keys: { type: 'string' },
  copy: { type: 'string' },
  backup: { type: 'string' },
  restore: { type: 'string' },
  check: { type: 'boolean' },
  doctor: { type: 'boolean' },
  json: { type: 'boolean' },
  'api-version': { type: 'string' },
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
  --keys report       how many keys the store has, by state, age, owner and last use; then exit
  --copy ACTION       of the store into an empty one of any kind (TARGET_DATABASE_URL, TARGET_COSMOS_ENDPOINT, TARGET_SQLITE_FILE):
                      plan, or apply: copies it and verifies what arrived; then exit
  --backup FILE       of the store, into a new file; then exit
  --restore ACTION    of a backup into an empty store: plan:FILE, or apply:FILE; then exit
  --check             check the configuration, print what was understood, and exit
  --doctor            check the configuration, and that everything the gateway depends on can be reached and used, without using tokens;
                      exit code 1 if something cannot. --json: for programs; --api-version V: try V (or v1) on each deployment, too
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
  const reseal = jobAction('reseal', values.reseal);
  const copy = jobAction('copy', values.copy);
  if (values.import !== undefined && !/^litellm(:apply)?$/.test(values.import))
    throw new TypeError(`--import must be litellm or litellm:apply, found "${values.import}"`);
  if (values.keys !== undefined && values.keys !== 'report')
    throw new TypeError(`--keys must be report, found "${values.keys}"`);
  if ((values.json === true || values['api-version'] !== undefined) && values.doctor !== true)
    throw new TypeError('--json and --api-version belong to --doctor');
  const action = (['help', 'version', 'routes', 'check', 'doctor'] as const).find(
    (name) => values[name] === true,
  );
  return {
    action: action ?? jobIn(values) ?? 'start',
    configFile: values.config,
    port: values.port,
    host: values.host,
    role,
    json: values.json,
    apiVersion: values['api-version'],
    migration: values.migrate,
    import:
      values.import === undefined ? undefined : values.import === 'litellm' ? 'plan' : 'apply',
    keys: values.keys,
    reseal,
    copy,
    backup: values.backup,
    restore: restoreIn(values.restore),
  };
}

/** @throws {TypeError} for anything but `plan` and `apply` */
function jobAction(option: string, value: string | undefined): 'plan' | 'apply' | undefined {
  if (value === undefined || value === 'plan' || value === 'apply') return value;
  throw new TypeError(`--${option} must be plan or apply, found "${value}"`);
}

/** @throws {TypeError} for anything but `plan:FILE` and `apply:FILE` */
function restoreIn(value: string | undefined): Command['restore'] {
  if (value === undefined) return undefined;
  const [, action, file] = /^(plan|apply):(.+)$/s.exec(value) ?? [];
  if (file === undefined)
    throw new TypeError(`--restore must be plan:FILE or apply:FILE, found "${value}"`);
  return { action: action === 'apply' ? 'apply' : 'plan', file };
}

const jobs = ['migrate', 'reseal', 'import', 'copy', 'backup', 'restore', 'keys'] as const;

/** What is done instead of a start. */
function jobIn(values: {
  readonly [job in (typeof jobs)[number]]?: string | undefined;
}): (typeof jobs)[number] | undefined {
  return jobs.find((name) => values[name] !== undefined);
}

/** Whether a text names a role. */
export function isRole(text: string): text is Role {
  return (roles as readonly string[]).includes(text);
}
