/**
 * Writes `snapshots/STACK.tf.json`: the Terraform JSON that is applied, without what the CDK notes for itself. An upgrade or a change
 * of the configuration is read there as a diff, and whoever leaves the CDK goes on from there.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Configuration } from './config.ts';
import { type Json, snapshotFile, snapshotFolder } from './snapshot-files.ts';
import { synthesize } from './synthesize.ts';

/** Stacks of configurations, of all there are unless some are given, as plain Terraform JSON by their names. */
export async function plainStacks(
  configurations?: readonly Configuration[],
): Promise<Map<string, Json>> {
  const folder = mkdtempSync(join(tmpdir(), 'aigateway-synth-'));
  try {
    const names = await synthesize(folder, configurations);
    return new Map(
      names.map((name) => {
        const text = readFileSync(join(folder, 'stacks', name, 'cdk.tf.json'), 'utf8');
        return [name, JSON.parse(text, withoutNotes) as Json];
      }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function withoutNotes(key: string, value: unknown): unknown {
  return key === '//' ? undefined : value;
}

if (import.meta.main) {
  mkdirSync(snapshotFolder, { recursive: true });
  for (const file of readdirSync(snapshotFolder)) rmSync(join(snapshotFolder, file));
  for (const [name, stack] of await plainStacks()) {
    writeFileSync(snapshotFile(name), `${JSON.stringify(stack, null, 2)}\n`);
  }
}
