import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { asObject, asObjects, asString } from './json.ts';

/** Begins the `encrypted_content` of every compaction that the gateway made; none of an upstream's begins so. */
export const summaryMarker = 'aigateway.summary.v1.';

/** What the model is asked for in the place of an answer. Plain words: it must do for every vendor's models. */
export const summaryInstruction = `Do not answer and do not call any tool. The conversation above is about to be cut off, and another assistant will continue the work with nothing but what you write now. Write a compact hand-over summary for it:

- what the user wants: every request, constraint and preference that still holds, in the user's own words where they matter
- what was done and found out, with decisions and the reasons for them
- the exact names, paths, identifiers, commands, values and error messages that will be needed again
- the state of the work, what is unfinished, and the next steps

If the conversation begins with such a summary, carry over what still holds. State facts only, add nothing new, and write nothing besides the summary.`;

const introduction =
  'The conversation so far was cut off. Its summary, handed over by the assistant that led it:';

/** A summary as the content of a compaction. Readable by whoever holds it: it says nothing that its holder has not said or been told. */
export function sealSummary(summary: string): string {
  return summaryMarker + Buffer.from(summary).toString('base64url');
}

/** The summary in a compaction of the gateway's own; undefined for any other content. */
export function openSummary(content: JsonValue | undefined): string | undefined {
  const text = asString(content);
  return text?.startsWith(summaryMarker) === true
    ? Buffer.from(text.slice(summaryMarker.length), 'base64url').toString()
    : undefined;
}

/**
 * A Responses request with the gateway's own compactions as messages, which every deployment can read.
 *
 * They become the user's and not the developer's: what tools returned has gone into a summary, and must not gain weight by it.
 *
 * @returns undefined when there are none
 */
export function expandSummaries(body: JsonObject): JsonObject | undefined {
  const { input } = body;
  if (!Array.isArray(input) || !asObjects(input).some(isSummary)) return undefined;
  return { ...body, input: input.map(expanded) };
}

function isSummary(item: JsonObject): boolean {
  return openSummary(item.encrypted_content) !== undefined;
}

function expanded(item: JsonValue): JsonValue {
  const summary = openSummary(asObject(item)?.encrypted_content);
  if (summary === undefined) return item;
  const text = `${introduction}\n\n${summary}`;
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}
