import { setTimeout as delay } from 'node:timers/promises';

/** Less than the limit of any test that waits, which would not tell what was seen last. */
const limitMs = 100_000;

/**
 * Asks again until the answer is right: what another process does comes in its own time.
 *
 * @returns the answer
 * @throws {Error} with the last answer where it never is
 */
export async function until<Value>(
  ask: () => Value | Promise<Value>,
  isRight: (value: Value) => boolean = Boolean,
): Promise<Value> {
  const giveUpAt = Date.now() + limitMs;
  for (;;) {
    const value = await ask();
    if (isRight(value)) return value;
    if (Date.now() > giveUpAt) throw new Error(`never came right: ${JSON.stringify(value)}`);
    await delay(20);
  }
}
