import type { Call } from '../call.ts';
import { invalidRequest, responseNotFound } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { jsonReply } from '../reply.ts';
import type { Reply } from '../reply.ts';
import type { StoredResponse } from '../response-store.ts';

/** GET /responses/{id}, as an object or as the rest of a background stream. */
export function getResponse(call: Call): Reply {
  const stored = storedOf(call);
  if (call.query.get('stream') !== 'true') return jsonReply(200, currentState(stored, call));
  if (stored.frames === undefined) {
    throw invalidRequest(
      'This response cannot be streamed because it was not created with background=true and stream=true.',
      'stream',
    );
  }
  const after = call.query.get('starting_after');
  const frames = stored.frames.slice(after === null ? 0 : Number(after) + 1);
  return { status: 200, headers: {}, payload: { kind: 'stream', frames } };
}

/** DELETE /responses/{id}. */
export function deleteResponse(call: Call): Reply {
  const { id } = storedOf(call);
  call.resource.responses.remove(id);
  return jsonReply(200, { id, object: 'response', deleted: true });
}

/** POST /responses/{id}/cancel: ends a background run; one that is over stays as it is. */
export function cancelResponse(call: Call): Reply {
  const stored = storedOf(call);
  if (stored.background === undefined)
    throw invalidRequest('Cannot cancel a synchronous response.');
  if (call.simulation.clock.now() < stored.background.endsAt) stored.cancelled = true;
  return jsonReply(200, currentState(stored, call));
}

/** GET /responses/{id}/input_items: newest first unless `order=asc`. */
export function listInputItems(call: Call): Reply {
  const { context } = storedOf(call);
  const ordered = call.query.get('order') === 'asc' ? context : context.toReversed();
  const position = (name: string): number =>
    ordered.findIndex((item) => item['id'] === call.query.get(name));
  const from = call.query.has('after') ? position('after') + 1 : 0;
  const to = call.query.has('before') ? position('before') : ordered.length;
  const limit = Number(call.query.get('limit') ?? 20);
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) {
    throw invalidRequest(`Invalid 'limit': expected an integer between 1 and 100.`, 'limit');
  }
  const page = ordered.slice(from, to).slice(0, limit).map(listed);
  return jsonReply(200, {
    object: 'list',
    data: page,
    first_id: page[0]?.['id'] ?? null,
    last_id: page.at(-1)?.['id'] ?? null,
    has_more: to - from > page.length,
  });
}

/** Plain string content is listed as the part it stands for. */
function listed(item: JsonObject): JsonObject {
  if (item['type'] !== 'message') return item;
  const { content } = item;
  const type = item['role'] === 'assistant' ? 'output_text' : 'input_text';
  return {
    status: 'completed',
    ...item,
    content: typeof content === 'string' ? [{ type, text: content }] : content,
  };
}

function storedOf(call: Call): StoredResponse {
  const id = call.path['id'] ?? '';
  const stored = call.resource.responses.find(id);
  if (stored === undefined) throw responseNotFound(id);
  return stored;
}

function currentState(stored: StoredResponse, call: Call): JsonObject {
  const { background, final } = stored;
  if (background === undefined) return final;
  const now = call.simulation.clock.now();
  const unfinished = { ...final, output: [], usage: null, incomplete_details: null };
  if (stored.cancelled === true) return { ...unfinished, status: 'cancelled' };
  if (now < background.startsAt) return { ...unfinished, status: 'queued' };
  if (now < background.endsAt) return { ...unfinished, status: 'in_progress' };
  return final;
}
