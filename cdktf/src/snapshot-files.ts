/** Where the Terraform JSON of each stack is kept. Without the CDK: what only reads it needs none of the CDK's packages. */
import { join } from 'node:path';

export type Json = { readonly [key: string]: unknown };

export const snapshotFolder = join(import.meta.dirname, '..', 'snapshots');

/** A file of the folder for a stack. */
export function snapshotFile(stack: string): string {
  return join(snapshotFolder, `${stack}.tf.json`);
}
