import type { UsageTransport } from '@aigateway/contract/usage';
import type { Ledger } from '../store/ledger.ts';
import { appendOrSetAside, type MissingEvents, type RefusedEvent } from './set-aside.ts';

/** Who is told of what does not come to be counted. */
export type DirectTransportOptions = {
  /** What the ledger refused, which nobody else keeps. */
  readonly onRefused?: (refused: RefusedEvent) => void;
  readonly onMissing?: (missing: MissingEvents) => void;
};

/** Takes events straight to a ledger, for a proxy in the same process. What is taken in is counted. */
export function createDirectTransport(
  ledger: Pick<Ledger, 'append' | 'mark'>,
  { onRefused, onMissing }: DirectTransportOptions = {},
): UsageTransport {
  const setAside = (refused: RefusedEvent): Promise<void> => {
    onRefused?.(refused);
    return Promise.resolve();
  };
  return {
    append: async (producer, events, floor) => {
      const [first] = events;
      if (first === undefined) {
        const mark = await ledger.mark(producer);
        return { taken: mark, mark };
      }
      let mark = await appendOrSetAside(ledger, producer, events, setAside);
      const to = first.sequence - 1;
      // What the producer still has of it comes next; what it has not, nobody can wait for.
      if (mark < to && to <= floor) {
        onMissing?.({ producer, from: mark + 1, to });
        mark = await appendOrSetAside(ledger, producer, events, setAside, to);
      }
      return { taken: mark, mark };
    },
  };
}
