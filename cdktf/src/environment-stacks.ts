/**
 * The stacks of one environment, in the order in which they are applied.
 *
 * As a command, for scripts: `node cdktf/src/environment-stacks.ts --client pvc --env prod` prints a line for each: its name, and of the
 * region that it is of the name in Azure, the resource group, the app of the proxies and the vault; `-` where it is of none.
 */
import { parseArgs } from 'node:util';
import { loadConfiguration, partsOf } from './clients.ts';
import type { Configuration } from './config.ts';
import { nameOf } from './names.ts';
import { codeOf } from './regions.ts';

/** A stack by its name, which is also that of its state. */
export type EnvironmentStack = { readonly name: string } & (
  | { readonly kind: 'first' | 'further'; readonly location: string }
  | { readonly kind: 'front-door'; readonly settings: NonNullable<Configuration['frontDoor']> }
);

/** A further region knows what the first one has, and Front Door what is in all regions: each needs those before it to be there. */
export function stacksOf(configuration: Configuration): EnvironmentStack[] {
  const { client, environment, location, furtherRegions, frontDoor } = configuration;
  const first = `${client}-${environment}`;
  return [
    { kind: 'first', name: first, location },
    ...furtherRegions.map((further) => ({
      kind: 'further' as const,
      name: `${first}-${codeOf(further.location)}`,
      location: further.location,
    })),
    ...(frontDoor === undefined
      ? []
      : [{ kind: 'front-door' as const, name: `${first}-frontdoor`, settings: frontDoor }]),
  ];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { client: { type: 'string' }, env: { type: 'string' } },
  });
  const { client, env } = values;
  if (client === undefined || env === undefined)
    throw new RangeError('--client and --env name the environment');
  const configuration = await loadConfiguration(client, env);
  for (const stack of stacksOf(configuration)) {
    const columns =
      stack.kind === 'front-door'
        ? ['-', '-', '-', '-']
        : [
            stack.location,
            ...(['rg', 'ca', 'kv'] as const).map((type) =>
              nameOf(type, { ...partsOf(configuration), location: codeOf(stack.location) }),
            ),
          ];
    process.stdout.write(`${[stack.name, ...columns].join(' ')}\n`);
  }
}

if (import.meta.main) {
  main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}
