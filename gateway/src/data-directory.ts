import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A secret that this machine made for itself, and the file that keeps it. */
export type KeptSecret = {
  readonly value: string;
  readonly file: string;
  readonly created: boolean;
};

/**
 * Reads a secret from the data directory, making it on first use. The file is readable by its owner alone.
 *
 * @param make - gives a new value
 * @throws {Error} if the directory cannot be written
 */
export function keepSecret(directory: string, name: string, make: () => string): KeptSecret {
  const file = join(directory, name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(file, `${make()}\n`, { flag: 'wx', mode: 0o600 });
    return { value: readSecret(file), file, created: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    chmodSync(file, 0o600);
    return { value: readSecret(file), file, created: false };
  }
}

/** What `keepSecret` kept; undefined before it did. */
export function keptSecret(directory: string, name: string): string | undefined {
  const file = join(directory, name);
  return existsSync(file) ? readSecret(file) : undefined;
}

function readSecret(file: string): string {
  const value = readFileSync(file, 'utf8').trim();
  if (value === '') throw new Error(`${file} is empty: delete it to have a new secret made`);
  return value;
}

/** A key in LiteLLM's form: `sk-` and 22 URL-safe characters from 16 random bytes. */
export function newKey(): string {
  return `sk-${randomBytes(16).toString('base64url')}`;
}

/** A root secret of 32 random bytes. */
export function newRootSecret(): string {
  return randomBytes(32).toString('base64url');
}
