import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from './config.ts';
import type { NameParts } from './names.ts';
import { codeOf } from './regions.ts';

const folder = join(import.meta.dirname, '..', 'clients');

/**
 * Every environment of every client, in the order of their names.
 *
 * @throws {Error} for a configuration that cannot be used, or that says it is another client's or environment's
 */
export async function allConfigurations(): Promise<Configuration[]> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(/[\\/]/))
    .filter((file) => file.length === 2 && file[1]?.endsWith('.ts'))
    .map(([client = '', file = '']) => [client, file.slice(0, -'.ts'.length)] as const)
    .toSorted(([a, b], [c, d]) => `${a}/${b}`.localeCompare(`${c}/${d}`));
  return Promise.all(files.map(([client, environment]) => loadConfiguration(client, environment)));
}

/**
 * One environment, `clients/CLIENT/ENVIRONMENT.ts`.
 *
 * @throws {Error} as `allConfigurations`
 */
export async function loadConfiguration(
  client: string,
  environment: string,
): Promise<Configuration> {
  for (const name of [client, environment]) {
    if (!/^[a-z][a-z0-9]*$/.test(name))
      throw new Error(`"${name}" names no client and no environment`);
  }
  const file = join(folder, client, `${environment}.ts`);
  const module = (await import(file)) as { default: Configuration };
  const loaded = module.default;
  if (loaded.client !== client || loaded.environment !== environment)
    throw new Error(`${file} says it is ${loaded.client}/${loaded.environment}`);
  return loaded;
}

/** What names of an environment are made of. */
export function partsOf(configuration: Configuration): NameParts {
  return { ...configuration, location: codeOf(configuration.location) };
}

/** The same for an environment by its names. */
export async function namePartsOf(client: string, environment: string): Promise<NameParts> {
  return partsOf(await loadConfiguration(client, environment));
}
