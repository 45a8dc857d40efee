import type { Clock } from './clock.ts';
import type { JsonObject } from './json.ts';
import type { Frame } from './reply.ts';

/** Azure keeps stored responses for 30 days. */
const LIFETIME_MS = 30 * 24 * 60 * 60 * 1000;

/** Long runs would fill the memory otherwise; the oldest responses go first. */
const MAX_RESPONSES = 20_000;

/** A stored response with all that is needed to continue it. */
export type StoredResponse = {
  id: string;
  /** The response object in its final state. */
  final: JsonObject;
  /** Input items of this call alone, each with an id. */
  input: JsonObject[];
  /** Input items of the whole conversation up to and including this call. */
  context: JsonObject[];
  /** Background only: when it begins to run and when it ends, by the simulator's clock. */
  background?: { startsAt: number; endsAt: number };
  /** Set when a background run was cancelled. */
  cancelled?: true;
  /** Background streams only: every event, with the moment it becomes visible. */
  frames?: readonly Frame[];
};

/** The stored responses and items of one resource. */
export interface ResponseStore {
  save(response: StoredResponse): void;
  /** The response, or undefined when unknown, deleted, expired or not visible yet. */
  find(id: string): StoredResponse | undefined;
  /** An input or output item of a stored response, under the same conditions. */
  findItem(id: string): JsonObject | undefined;
  /** Forgets a response and its items. */
  remove(id: string): void;
}

/**
 * An empty store.
 *
 * @param visibilityDelayMs - how long what was saved stays invisible
 */
export function createResponseStore(clock: Clock, visibilityDelayMs: number): ResponseStore {
  const responses = new Map<string, { savedAt: number; response: StoredResponse }>();
  const items = new Map<string, { savedAt: number; item: JsonObject }>();

  const ownItems = (response: StoredResponse): JsonObject[] => [
    ...response.input,
    ...(response.final['output'] as JsonObject[]),
  ];
  const remove = (id: string): void => {
    const found = responses.get(id);
    if (found === undefined) return;
    responses.delete(id);
    for (const item of ownItems(found.response)) items.delete(String(item['id']));
  };
  const isVisible = (savedAt: number): boolean => {
    const age = clock.now() - savedAt;
    return age >= visibilityDelayMs && age < LIFETIME_MS;
  };

  return {
    save: (response) => {
      const savedAt = clock.now();
      responses.set(response.id, { savedAt, response });
      for (const item of ownItems(response)) {
        const id = item['id'];
        if (typeof id === 'string') items.set(id, { savedAt, item });
      }
      const [oldest] = responses.keys();
      if (responses.size > MAX_RESPONSES && oldest !== undefined) remove(oldest);
    },
    find: (id) => {
      const found = responses.get(id);
      return found !== undefined && isVisible(found.savedAt) ? found.response : undefined;
    },
    findItem: (id) => {
      const found = items.get(id);
      return found !== undefined && isVisible(found.savedAt) ? found.item : undefined;
    },
    remove,
  };
}
