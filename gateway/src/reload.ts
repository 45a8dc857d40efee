import { hash } from 'node:crypto';
import { readFileSync, watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';
import { settingsForRestart } from '@aigateway/contract/server-settings';
import type { Environment } from '@aigateway/contract/environment-config';
import type { Proxy } from '@aigateway/proxy/proxy';
import { problemLines, type Configuration } from './configuration.ts';

/** Editors write a file in several steps; it is read once they are done. */
const settleMs = 100;

/** What runs, and what changes with its configuration. */
export type Reloadable = {
  readonly proxy: Proxy;
  /** What secrets are looked up in; gets the members of each new environment. */
  readonly environment: { [name: string]: string | undefined };
  /** The `.env` file, which may be missing. */
  readonly environmentFile: string;
};

/**
 * Puts a changed configuration in force: when one of its files or `.env` has other content than before, and on SIGHUP. One that cannot
 * be used changes nothing. Requests under way keep what they began with. Settings that only a restart can change are named in a
 * warning.
 *
 * @param reread - reads the configuration as it stands now
 * @returns what ends the watching
 */
export function reloadOnChange(
  first: Configuration,
  reread: () => Promise<Configuration>,
  { proxy, environment, environmentFile }: Reloadable,
): () => void {
  let files = [...first.file.files, environmentFile];
  const { server } = first.compiled;
  let known = contentOf(files);
  let timer: NodeJS.Timeout | undefined;

  const reload = async (): Promise<void> => {
    known = contentOf(files);
    try {
      const next = await reread();
      const problems = problemLines(next);
      if (problems.length > 0) {
        refused(proxy, problems);
        return;
      }
      files = [...next.file.files, environmentFile];
      known = contentOf(files);
      replaceMembers(environment, next.environment);
      proxy.update(next.compiled.records);
      proxy.setLogLevel(next.compiled.server.logLevel);
      proxy.logger.info({ models: next.compiled.records.models.length }, 'configuration reloaded');
      const settings = settingsForRestart(server, next.compiled.server);
      if (settings.length > 0)
        proxy.logger.warn({ settings }, `needs a restart: ${settings.join(', ')}`);
    } catch (error) {
      refused(proxy, [error instanceof Error ? error.message : 'it cannot be read']);
    }
  };
  const onHangUp = (): void => void reload();
  const onEvent = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // The folder tells of every file in it, a log of our own included: only content counts.
      if (contentOf(files) !== known) void reload();
    }, settleMs).unref();
  };
  process.on('SIGHUP', onHangUp);
  // Folders are watched, not files: editors and Kubernetes replace a file instead of writing to it.
  const folders = new Set(first.file.files.map((file) => dirname(file)));
  const watchers = [...folders].map((folder) => watch(folder, { persistent: false }, onEvent));
  // The working directory may be busy, or one that this user may not list: there only the one file counts.
  const environmentFolder = watchOptional(dirname(environmentFile), (name) => {
    if (name === null || name === basename(environmentFile)) onEvent();
  });
  if (environmentFolder !== undefined) watchers.push(environmentFolder);
  return () => {
    clearTimeout(timer);
    process.removeListener('SIGHUP', onHangUp);
    for (const watcher of watchers) watcher.close();
  };
}

function watchOptional(
  folder: string,
  onChange: (name: string | null) => void,
): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, (_event, name) => onChange(name));
  } catch {
    return undefined;
  }
}

function replaceMembers(target: Reloadable['environment'], next: Environment): void {
  for (const name of Object.keys(target)) if (!Object.hasOwn(next, name)) delete target[name];
  Object.assign(target, next);
}

function refused(proxy: Proxy, problems: readonly string[]): void {
  proxy.logger.error(
    { problems },
    'the changed configuration cannot be used: the one before stays in force',
  );
}

/** A digest of the files' content; a file that is missing, as in the middle of a replacement, has none. */
function contentOf(files: readonly string[]): string {
  const digests = files.map((file) => {
    try {
      return hash('sha256', readFileSync(file));
    } catch {
      return '';
    }
  });
  return digests.join();
}
