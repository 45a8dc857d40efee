import type { UsageTransport } from '@aigateway/contract/usage';
import type { Ledger } from '../store/ledger.ts';
import { appendOrSetAside, type RefusedEvent } from './set-aside.ts';

/**
 * Takes events straight to a ledger, for a proxy in the same process. What is taken in is counted.
 *
 * @param onRefused - told of what the ledger refused, which nobody else keeps
 */
export function createDirectTransport(
  ledger: Pick<Ledger, 'append' | 'mark'>,
  onRefused: (refused: RefusedEvent) => void = () => undefined,
): UsageTransport {
  return {
    append: async (producer, events) => {
      const mark =
        events.length === 0
          ? await ledger.mark(producer)
          : await appendOrSetAside(ledger, producer, events, (refused) => {
              onRefused(refused);
              return Promise.resolve();
            });
      return { taken: mark, mark };
    },
  };
}
