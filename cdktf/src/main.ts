/** Writes the Terraform JSON of every client and environment to `cdktf.out/stacks/NAME/cdk.tf.json`. */
import { join } from 'node:path';
import { synthesize } from './synthesize.ts';

const folder = join(import.meta.dirname, '..', 'cdktf.out');
for (const stack of await synthesize(folder)) process.stdout.write(`${stack}\n`);
