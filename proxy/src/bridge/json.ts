import type { JsonObject, JsonValue } from '@aigateway/contract/records';

/** The value as an object; undefined when it is anything else. */
export function asObject(value: JsonValue | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
}

/** The objects of an array; empty when the value is no array. */
export function asObjects(value: JsonValue | undefined): JsonObject[] {
  if (!Array.isArray(value)) return [];
  return value.map(asObject).filter((entry) => entry !== undefined);
}

/** The value as a string; undefined when it is anything else. */
export function asString(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** The value as a number; undefined when it is anything else. */
export function asNumber(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** An object of the entries that are set: those that are undefined are left out. */
export function present(entries: { [key: string]: JsonValue | undefined }): JsonObject {
  const set = Object.entries(entries).filter(([, value]) => value !== undefined);
  return Object.fromEntries(set) as JsonObject;
}

/** The object in a text, or undefined when the text is no JSON object. */
export function parseObject(text: string): JsonObject | undefined {
  try {
    return asObject(JSON.parse(text) as JsonValue);
  } catch {
    // Upstream bytes and model output may hold anything; what broken text means is the caller's decision.
    return undefined;
  }
}
