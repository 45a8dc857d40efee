import { realpathSync, watch, type FSWatcher } from 'node:fs';
import { dirname } from 'node:path';
import { settingsForRestart } from '@aigateway/contract/server-settings';
import type { Environment } from '@aigateway/contract/environment-config';
import { digestOf } from './config-file.ts';
import { problemLines, type Configuration } from './configuration.ts';
import type { Running } from './roles.ts';

/** Editors write a file in several steps; it is read once they are done. */
const settleMs = 100;

/** What runs, and what changes with its configuration. */
export type Reloadable = {
  readonly running: Running;
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
  { running, environment, environmentFile }: Reloadable,
): () => void {
  let { files } = first.file;
  const digestNow = () => `${digestOf(files)};${digestOf([environmentFile])}`;
  const digestOfRead = ({ file }: Configuration) => `${file.digest};${digestOf([environmentFile])}`;
  let digest = digestOfRead(first);
  const { server } = first.compiled;
  let timer: NodeJS.Timeout | undefined;

  const reload = async (): Promise<void> => {
    digest = digestNow();
    try {
      const next = await reread();
      const problems = problemLines(next);
      if (problems.length > 0) {
        refused(running, problems);
        return;
      }
      ({ files } = next.file);
      digest = digestOfRead(next);
      replaceMembers(environment, next.environment);
      await running.put(next);
      running.logger.level = next.compiled.server.logLevel;
      running.logger.info(
        { models: next.compiled.records.models.length },
        'configuration reloaded',
      );
      const settings = settingsForRestart(server, next.compiled.server);
      if (settings.length > 0)
        running.logger.warn({ settings }, `needs a restart: ${settings.join(', ')}`);
    } catch (error) {
      refused(running, [error instanceof Error ? error.message : 'it cannot be read']);
    }
  };
  const onEvent = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // The folder tells of every file in it, a log of our own included: only content counts.
      if (digestNow() !== digest) void reload().then(watchAnew);
    }, settleMs).unref();
  };
  let watchers = watchFolders([...files, environmentFile], onEvent);
  // What changed while the gateway started was seen by nobody.
  onEvent();
  // The files may lie elsewhere than before: a link points to another folder, an include was added.
  const watchAnew = (): void => {
    const before = watchers;
    watchers = watchFolders([...files, environmentFile], onEvent);
    for (const watcher of before) watcher.close();
    onEvent();
  };
  const onHangUp = (): void => void reload().then(watchAnew);
  process.on('SIGHUP', onHangUp);
  return () => {
    clearTimeout(timer);
    process.removeListener('SIGHUP', onHangUp);
    for (const watcher of watchers) watcher.close();
  };
}

function replaceMembers(target: Reloadable['environment'], next: Environment): void {
  for (const name of Object.keys(target)) if (!Object.hasOwn(next, name)) delete target[name];
  Object.assign(target, next);
}

/**
 * Watches where files are named and where they lie. Folders, since editors replace a file instead of writing to it; both,
 * since Kubernetes replaces a link on the way to it.
 */
function watchFolders(files: readonly string[], onEvent: () => void): FSWatcher[] {
  const folders = new Set(files.flatMap((file) => [dirname(file), dirname(realPathOf(file))]));
  return [...folders].flatMap((folder) => {
    try {
      // Where a folder that is deleted is an error of its watcher, it is one more event.
      return [watch(folder, { persistent: false }, onEvent).on('error', onEvent)];
    } catch {
      return [];
    }
  });
}

function realPathOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function refused(running: Running, problems: readonly string[]): void {
  running.logger.error(
    { problems },
    'the changed configuration cannot be used: the one before stays in force',
  );
}
