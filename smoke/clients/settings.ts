import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, 'settings');

/** Where the gateway is and the key for it. */
export type Access = { readonly url: string; readonly v1: string; readonly key: string };

/** A settings file as the page of clients shows it. */
export function settingsText(name: string): string {
  return readFileSync(join(folder, name), 'utf8');
}

/** The same with base URL and key filled in, and nothing else changed. */
export function settingsFor(name: string, { url, v1, key }: Access): string {
  return settingsText(name)
    .replaceAll('https://gateway.example.com/v1', v1)
    .replaceAll('https://gateway.example.com', url)
    .replaceAll('sk-your-key', key);
}

/** The same of a file of `NAME=value` lines, read. */
export function environmentFor(name: string, access: Access): Record<string, string> {
  return Object.fromEntries(
    settingsFor(name, access)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [variable = '', ...value] = line.split('=');
        return [variable, value.join('=')];
      }),
  );
}
