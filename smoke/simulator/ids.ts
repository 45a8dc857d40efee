import type { Random } from './random.ts';

/** Ids in the forms Azure gives them; the same seed gives the same sequence. */
export type Ids = {
  completion(): string;
  call(): string;
  response(): string;
  /** Id of a Responses item, e.g. `msg_…` for the prefix `msg`. */
  item(prefix: 'msg' | 'rs' | 'fc' | 'ctc' | 'cmp'): string;
  request(): string;
};

/** Makes ids from a seeded source. */
export function seededIds(random: Random): Ids {
  return {
    completion: () => `chatcmpl-${random.hex(28)}`,
    call: () => `call_${random.hex(24)}`,
    response: () => `resp_${random.hex(48)}`,
    item: (prefix) => `${prefix}_${random.hex(48)}`,
    request: () => random.uuid(),
  };
}
