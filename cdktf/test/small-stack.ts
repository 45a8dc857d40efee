import { configuration, type ConfigurationInput } from '../src/config.ts';
import type { Json } from '../src/snapshot-files.ts';
import { plainStacks } from '../src/snapshots.ts';

/** The least that a configuration needs. */
export const least: ConfigurationInput = {
  client: 'pvc',
  environment: 'dev',
  openai: [{ region: 'swedencentral', deployments: [{ name: 'a', model: 'gpt-4o', capacity: 1 }] }],
};

/** The stack of a configuration that is not committed: the least, and `more`. */
export async function stackWith(more: Partial<ConfigurationInput>): Promise<Json> {
  const made = await plainStacks([configuration({ ...least, ...more })]);
  return made.get('pvc-dev') ?? {};
}
