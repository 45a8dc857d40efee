import type { UsageTransport } from '@aigateway/contract/usage';
import type { Ledger } from '../store/ledger.ts';

/** Takes events straight to a ledger, for a proxy in the same process. What is taken in is counted. */
export function createDirectTransport(ledger: Pick<Ledger, 'append' | 'mark'>): UsageTransport {
  return {
    append: async (producer, events) => {
      const mark =
        events.length === 0 ? await ledger.mark(producer) : await ledger.append(producer, events);
      return { taken: mark, mark };
    },
  };
}
