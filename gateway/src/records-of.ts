import type { Records } from '@aigateway/contract/records';
import type { SnapshotSource } from '@aigateway/contract/snapshot';

/**
 * What a source holds, as soon as it holds anything. The source is closed.
 *
 * @throws the signal's reason when it is aborted before
 */
export async function recordsOf(source: SnapshotSource, signal?: AbortSignal): Promise<Records> {
  const { promise, resolve, reject } = Promise.withResolvers<Records>();
  const abort = (): void => reject(signal?.reason as Error);
  signal?.addEventListener('abort', abort);
  try {
    signal?.throwIfAborted();
    void source.start({ replace: resolve, change: () => undefined });
    return await promise;
  } finally {
    signal?.removeEventListener('abort', abort);
    await source.close();
  }
}
