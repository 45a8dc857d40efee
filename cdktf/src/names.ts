/**
 * Names of Azure resources, `{prefix}-{environment}-{project}-{type}-{location}`, within what Azure permits for each type.
 *
 * As a command: `node cdktf/src/names.ts --env dev --type st` prints one, further ones for further `--type`; `--client NAME` takes prefix, project, location and codes
 * from `clients/NAME/ENV.ts`, else `--project`, `--location`, `--prefix`, `--code` and `--suffix` say them.
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { regionCodes } from './regions.ts';

/** What a name is made of. Each is lower-case letters and digits. */
export type NameParts = {
  readonly prefix: string;
  readonly environment: string;
  /** Three letters that stand for the environment where its name is too long; dev, staging and prod have theirs. */
  readonly environmentCode?: string | undefined;
  readonly project: string;
  /** Code of the region, `san`. */
  readonly location: string;
  /** Follows the project in names that can exist once in the world. */
  readonly uniqueSuffix?: string | undefined;
};

type Rule = {
  readonly what: string;
  /** Characters at most: what the azurerm provider accepts, or, where it checks nothing, Azure's documented limit. */
  readonly max: number;
  /** Letters and digits only: the parts stand without dashes between them. */
  readonly isPlain?: true;
  /** Can exist once in the world. */
  readonly isGlobal?: true;
};

/** Types that have names, by the part of the name that says so. At most six letters, since a container app has 32 characters. */
export const resourceTypes = {
  rg: { what: 'resource group', max: 90 },
  rgst: { what: 'resource group of the Terraform state', max: 90 },
  law: { what: 'Log Analytics workspace', max: 63 },
  ai: { what: 'Application Insights', max: 260 },
  cae: { what: 'Container Apps environment', max: 60 },
  ca: { what: 'container app of the proxy', max: 32 },
  caadm: { what: 'container app of the control plane', max: 32 },
  caj: { what: 'job that migrates the store', max: 32 },
  cajrs: { what: 'job that seals the store anew', max: 32 },
  kv: { what: 'Key Vault', max: 24, isGlobal: true },
  st: { what: 'storage account of the Terraform state', max: 24, isPlain: true, isGlobal: true },
  cr: { what: 'container registry', max: 50, isPlain: true, isGlobal: true },
  amr: { what: 'Managed Redis', max: 60 },
  cosmos: { what: 'Cosmos DB account', max: 44, isGlobal: true },
  psql: { what: 'PostgreSQL server', max: 63, isGlobal: true },
  id: { what: 'identity of the proxy', max: 128 },
  idadm: { what: 'identity of the control plane', max: 128 },
  idgha: { what: 'identity of GitHub Actions that applies', max: 128 },
  idplan: { what: 'identity of GitHub Actions for pull requests, which may only look', max: 128 },
  idread: { what: 'identity of GitHub Actions that reads everything anew', max: 128 },
  oai: { what: 'Azure OpenAI account', max: 64, isGlobal: true },
  vnet: { what: 'virtual network', max: 64 },
  nsg: { what: 'network security group', max: 80 },
  pepkv: { what: 'private endpoint of the vault', max: 80 },
  pepdb: { what: 'private endpoint of the store', max: 80 },
  pepamr: { what: 'private endpoint of Redis', max: 80 },
  pepoai: { what: 'private endpoint of Azure OpenAI', max: 80 },
  afd: { what: 'Front Door profile', max: 90 },
  fde: { what: 'Front Door endpoint', max: 46, isGlobal: true },
  waf: { what: 'Web Application Firewall policy', max: 128, isPlain: true },
  ag: { what: 'action group', max: 260 },
  budget: { what: 'budget', max: 63 },
} as const satisfies { readonly [type: string]: Rule };

export type ResourceType = keyof typeof resourceTypes;

const environmentCodes: { readonly [environment: string]: string } = {
  dev: 'dev',
  staging: 'stg',
  prod: 'prd',
};

const hashLength = 4;

/** What `nameOf` takes where nothing else is said. */
export const defaultParts = { prefix: 'pvc', project: 'aigateway', region: 'southafricanorth' };

/** Letters and digits, a letter first. */
export const partPattern = /^[a-z][a-z0-9]*$/;
export const suffixPattern = /^[0-9a-f]{4}$/;

/**
 * The name of a resource.
 *
 * The pattern as it is, if Azure takes it; else with the three letters of the environment; else with a shortened project and four
 * digits of the hash of the whole name. For given parts the result never changes: another name is another resource.
 *
 * @throws {RangeError} where a part is not letters and digits, or no room is left for the project
 */
export function nameOf(type: ResourceType, parts: NameParts): string {
  const rule: Rule = resourceTypes[type];
  const { prefix, environment, location } = parts;
  for (const part of [prefix, environment, parts.project, location]) {
    if (!partPattern.test(part))
      throw new RangeError(
        `"${part}" cannot be part of a name: letters a–z and digits only, a letter first`,
      );
  }
  const { uniqueSuffix = '' } = parts;
  if (uniqueSuffix !== '' && !suffixPattern.test(uniqueSuffix))
    throw new RangeError(`"${uniqueSuffix}" is no suffix: four hexadecimal digits`);
  const project = rule.isGlobal === true ? parts.project + uniqueSuffix : parts.project;
  const joined = (environmentPart: string, projectPart: string) =>
    [prefix, environmentPart, projectPart, type, location].join(rule.isPlain === true ? '' : '-');

  const whole = joined(environment, project);
  if (whole.length <= rule.max) return whole;
  const code = parts.environmentCode ?? environmentCodes[environment];
  if (code === undefined || !/^[a-z][a-z0-9]{2}$/.test(code)) {
    throw new RangeError(
      `${whole} has more than the ${rule.max} characters of a ${rule.what}: give the environment "${environment}" a code of three letters`,
    );
  }
  const withCode = joined(code, project);
  if (withCode.length <= rule.max) return withCode;
  const room = rule.max - joined(code, '').length;
  if (room <= hashLength) {
    throw new RangeError(
      `a ${rule.what} has at most ${rule.max} characters: "${joined(code, '…')}" leaves ${Math.max(0, room)} for the project, and ${hashLength + 1} are needed. Shorten prefix or location`,
    );
  }
  const hash = createHash('sha256').update(whole).digest('hex').slice(0, hashLength);
  return joined(code, project.slice(0, room - hashLength) + hash);
}

/** Not awaited at the top level: what a client's configuration imports imports this file. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      env: { type: 'string' },
      type: { type: 'string', multiple: true },
      client: { type: 'string' },
      prefix: { type: 'string', default: defaultParts.prefix },
      project: { type: 'string', default: defaultParts.project },
      location: { type: 'string', default: defaultParts.region },
      code: { type: 'string' },
      suffix: { type: 'string' },
    },
  });
  const { env, type: types = [], client } = values;
  if (env === undefined) throw new RangeError('--env names the environment');
  if (types.length === 0 || types.some((type) => !Object.hasOwn(resourceTypes, type)))
    throw new RangeError(`--type is one of ${Object.keys(resourceTypes).join(', ')}`);
  const parts =
    client === undefined
      ? {
          prefix: values.prefix,
          environment: env,
          environmentCode: values.code,
          project: values.project,
          location: regionCodes[values.location] ?? values.location,
          uniqueSuffix: values.suffix,
        }
      : await (await import('./clients.ts')).namePartsOf(client, env);
  for (const type of types) process.stdout.write(`${nameOf(type as ResourceType, parts)}\n`);
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}
