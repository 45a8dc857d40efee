import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';

const schema = z.strictObject({
  /** Where callers reach the environment, without a slash at the end. */
  url: z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, '')),
  /** Every name that callers may ask for. */
  models: z.array(z.string().min(1)).min(1),
  chat: z.string().min(1),
  responses: z.string().min(1),
  embeddings: z.string().min(1),
  /** Whether the management API answers at the same address; `closed` where it is reached from inside only. */
  management: z.enum(['open', 'closed']),
  /** Whether there is a key of few calls a minute, to see a limit refuse. */
  limits: z.boolean(),
  /** Milliseconds. The third quarter of calls must be quicker: a gate sees few calls, and one that meets a busy model proves nothing. */
  longestCallMs: z.int().positive(),
  longestFirstByteMs: z.int().positive(),
});

/** What the gate needs to know of one environment. Keys are no part of it. */
export type GateSettings = z.infer<typeof schema>;

/**
 * Reads `environments/NAME.json`.
 *
 * @throws {Error} for an environment that has none, or one that cannot be used
 */
export function gateSettings(environment: string): GateSettings {
  const folder = join(import.meta.dirname, 'environments');
  const file = join(folder, `${environment}.json`);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    const known = readdirSync(folder).map((name) => name.replace(/\.json$/, ''));
    throw new Error(
      `no environment is called ${environment}: ${file} is not there (${known.join(', ')} are)`,
    );
  }
  const parsed = schema.safeParse(JSON.parse(text));
  if (!parsed.success) throw new Error(`${file}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
