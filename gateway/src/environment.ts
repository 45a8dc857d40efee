import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import type { Environment } from '@aigateway/contract/environment-config';

/** The environment of this process. Nothing else reads settings from `process.env`. */
export type ProcessEnvironment = {
  readonly variables: Environment;
  /** Where a `.env` file is looked for; it need not be there. */
  readonly file: string;
  readonly profile: 'development' | 'production';
  /** Configuration file named by `AIGATEWAY_CONFIG` or LiteLLM's `CONFIG_FILE_PATH`. */
  readonly configFile?: string;
  /** The configuration itself, from `AIGATEWAY_CONFIG_TEXT`. */
  readonly configText?: string;
};

/** A `.env` of this size is none. */
const largestFile = 1_048_576;

/**
 * Reads the process's environment and the `.env` file of a directory; variables of the process win.
 *
 * @throws {Error} if the file is there but cannot be read, is too large or is not UTF-8
 */
export function readEnvironment(
  directory: string,
  real: Environment = process.env, // oxlint-disable-line node/no-process-env -- the one place that reads it
): ProcessEnvironment {
  const file = join(directory, '.env');
  const text = readOptional(file);
  const variables: Environment = Object.freeze({
    ...(text === undefined ? {} : parseEnv(text)),
    ...Object.fromEntries(Object.entries(real).filter(([, value]) => value !== undefined)),
  });
  const configFile = [variables['AIGATEWAY_CONFIG'], variables['CONFIG_FILE_PATH']]
    .map((path) => path?.trim())
    .find((path) => path);
  const configText = variables['AIGATEWAY_CONFIG_TEXT'];
  return {
    variables,
    file,
    profile:
      variables['AIGATEWAY_PROFILE']?.trim() === 'development' ? 'development' : 'production',
    ...(configFile === undefined ? {} : { configFile }),
    ...(configText === undefined || configText.trim() === '' ? {} : { configText }),
  };
}

function readOptional(file: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EISDIR') return undefined;
    throw error;
  }
  if (bytes.length > largestFile) throw new Error(`${file} is larger than ${largestFile} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error(`${file} is not UTF-8 text`, { cause });
  }
}
