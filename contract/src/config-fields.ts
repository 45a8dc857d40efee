import * as z from 'zod';
import { isTimeZone, parseDuration, parseResetTime } from './duration.ts';
import { isVaultReference, parseVaultReference, vaultReferenceForm } from './key-vault.ts';
import { nanoUsd, picoUsd } from './money.ts';
import { isNetwork } from './networks.ts';
import type { JsonObject, JsonValue, SecretReference } from './records.ts';

/**
 * - `effective`: does what LiteLLM's documentation (or ours) says
 * - `inert`: accepted, without effect, listed at start with the reason
 * - `refused`: the gateway does not start with it, because ignoring it would weaken safety or money
 */
export type KeyStatus = 'effective' | 'inert' | 'refused';

/** What the walker and the reference page know of a key besides its schema. */
export type KeyMeta = {
  status: KeyStatus;
  description: string;
  /** The values it takes, in words that fit after "must be". */
  type?: string;
  default?: string;
  /** Values that ask for nothing and so do not count as use of an inert or refused key. */
  harmless?: readonly unknown[];
};

const prefix = 'os.environ/';

/** The variable that a whole `os.environ/NAME` value names. */
export function environmentReference(value: unknown): string | undefined {
  return typeof value === 'string' && value.startsWith(prefix)
    ? value.slice(prefix.length).trim()
    : undefined;
}

/** A kind of value: how it is read, and how it is named to people. Reading gives undefined for what does not fit. */
function kind<Value>(
  type: string,
  read: (input: unknown) => Value | undefined,
): z.ZodType<Value, unknown> {
  return z
    .unknown()
    .transform((input, context): Value => {
      const value = read(input);
      if (value !== undefined) return value;
      context.issues.push({ code: 'custom', message: `must be ${type}`, input });
      return z.NEVER;
    })
    .meta({ type });
}

export function text(): z.ZodType<string, unknown> {
  return kind('a text', (input) => {
    if (typeof input === 'number') return String(input);
    return typeof input === 'string' && input.trim() !== '' ? input.trim() : undefined;
  });
}

/** A text that only a secret store or the environment should hold. */
export function secret(): z.ZodType<SecretReference, unknown> {
  return kind('a secret, best as os.environ/NAME', (input) => {
    const name = environmentReference(input);
    if (name !== undefined) return name === '' ? undefined : { kind: 'env', name };
    if (typeof input === 'number') return { kind: 'inline', value: String(input) };
    // Where no vault is asked, the reference itself would become the secret.
    return typeof input === 'string' && input.trim() !== '' && !isVaultReference(input.trim())
      ? { kind: 'inline', value: input.trim() }
      : undefined;
  });
}

/** A secret that is sent upstream, which may also stand in a Key Vault. */
export function upstreamSecret(): z.ZodType<SecretReference, unknown> {
  const other = secret();
  return kind(`a secret, best as os.environ/NAME or ${vaultReferenceForm}`, (input) =>
    typeof input === 'string' && isVaultReference(input.trim())
      ? parseVaultReference(input.trim())
      : other.safeParse(input).data,
  );
}

export function flag(): z.ZodType<boolean, unknown> {
  return kind('true or false', (input) => {
    if (typeof input === 'boolean') return input;
    const word = typeof input === 'string' ? input.trim().toLowerCase() : '';
    if (['true', 'yes', 'on', '1'].includes(word)) return true;
    if (['false', 'no', 'off', '0'].includes(word)) return false;
    return undefined;
  });
}

export type Range = { min: number; max: number };

export function integer(range: Range): z.ZodType<number, unknown> {
  return kind(`a whole number from ${range.min} to ${range.max}`, (input) => {
    const value = readNumber(input);
    return value !== undefined &&
      Number.isInteger(value) &&
      value >= range.min &&
      value <= range.max
      ? value
      : undefined;
  });
}

export function decimal(range: Range): z.ZodType<number, unknown> {
  return kind(`a number from ${range.min} to ${range.max}`, (input) => {
    const value = readNumber(input);
    return value !== undefined && value >= range.min && value <= range.max ? value : undefined;
  });
}

/** LiteLLM's limits: whole numbers, where floats without a fraction occur. */
export function count(): z.ZodType<number, unknown> {
  return integer({ min: 0, max: 1_000_000_000_000 });
}

const unitsMs: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Seconds as LiteLLM writes them, or a number with a unit. Gives milliseconds. */
export function time(range: { minMs: number; maxMs: number }): z.ZodType<number, unknown> {
  const type = `seconds, or a number with ms, s, m or h, from ${range.minMs} ms to ${range.maxMs / 1000} s`;
  return kind(type, (input) => {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(
      typeof input === 'number' ? String(input) : trimmed(input),
    );
    if (!match) return undefined;
    const ms = Math.round(Number(match[1]) * (unitsMs[match[2] ?? 's'] ?? 1000));
    return ms >= range.minMs && ms <= range.maxMs ? ms : undefined;
  });
}

const unitsBytes: { readonly [unit: string]: number } = {
  '': 1,
  b: 1,
  kb: 1000,
  kib: 1024,
  mb: 1_000_000,
  mib: 1_048_576,
  gb: 1_000_000_000,
  gib: 1_073_741_824,
};

/** A size such as `8MiB`; without a unit in bytes. */
export function bytes(range: Range): z.ZodType<number, unknown> {
  return kind(`a size such as 8MiB, from ${range.min} to ${range.max} bytes`, (input) => {
    const match = /^(\d+(?:\.\d+)?)\s*([kmg]?i?b?)$/i.exec(
      typeof input === 'number' ? String(input) : trimmed(input),
    );
    const unit = unitsBytes[(match?.[2] ?? '').toLowerCase()];
    if (!match || unit === undefined) return undefined;
    const size = Math.floor(Number(match[1]) * unit);
    return size >= range.min && size <= range.max ? size : undefined;
  });
}

/** A budget in US dollars. Gives nano-USD. */
export function usd(): z.ZodType<number, unknown> {
  return kind('an amount in US dollars, zero or more', (input) =>
    typeof input === 'number' || typeof input === 'string' ? nanoUsd(input) : undefined,
  );
}

/** A price in US dollars per token. Gives pico-USD. */
export function usdPerToken(): z.ZodType<number, unknown> {
  return kind('a price in US dollars per token, zero or more', (input) =>
    typeof input === 'number' || typeof input === 'string' ? picoUsd(input) : undefined,
  );
}

export function duration(): z.ZodType<string, unknown> {
  return kind('a duration such as 30s, 5m, 1h, 7d, 1mo, daily, weekly or monthly', (input) =>
    typeof input === 'string' && parseDuration(input) ? input.trim().toLowerCase() : undefined,
  );
}

export function timeZone(): z.ZodType<string, unknown> {
  return kind('a time zone such as UTC or Africa/Johannesburg', (input) =>
    typeof input === 'string' && isTimeZone(input.trim()) ? input.trim() : undefined,
  );
}

export function timeOfDay(): z.ZodType<string, unknown> {
  return kind('a time of day, HH:MM', (input) =>
    typeof input === 'string' && parseResetTime(input) ? input.trim() : undefined,
  );
}

/** A point in time. Gives milliseconds since the epoch. */
export function instant(): z.ZodType<number, unknown> {
  return kind('a date such as 2027-06-30 or 2027-06-30T12:00:00Z', (input) => {
    const match = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/.exec(
      trimmed(input),
    );
    const ms = match ? Date.parse(match[0]) : Number.NaN;
    return Number.isNaN(ms) ? undefined : ms;
  });
}

export function oneOf<const Name extends string>(
  ...names: readonly Name[]
): z.ZodType<Name, unknown> {
  return kind(`one of ${names.join(', ')}`, (input) => {
    const word = trimmed(input);
    return names.find((name) => name === word);
  });
}

/** A list of texts; one text stands for a list of one, and in environment variables commas separate. */
export function texts(): z.ZodType<string[], unknown> {
  return kind('a list of texts', (input) => {
    const items = typeof input === 'string' ? input.split(',').map((item) => item.trim()) : input;
    if (!Array.isArray(items)) return undefined;
    const list = items.map((item) => (typeof item === 'number' ? String(item) : item));
    return list.every((item): item is string => typeof item === 'string')
      ? list.filter((item) => item !== '')
      : undefined;
  });
}

/** Networks and single addresses, one or more; written as {@link texts} are. */
export function networks(): z.ZodType<string[], unknown> {
  const list = texts();
  return kind('a list of addresses and networks, as 203.0.113.7 and 10.0.0.0/8', (input) => {
    const { data } = list.safeParse(input);
    return data !== undefined && data.length > 0 && data.every(isNetwork) ? data : undefined;
  });
}

/**
 * Servers: a list of `host:port`, of maps with `host` and `port`, or of pairs; in environment variables JSON of one of them, or
 * texts that commas separate.
 *
 * @param defaultPort - where none is named
 */
export function hostPorts(
  defaultPort: number,
): z.ZodType<{ host: string; port: number }[], unknown> {
  const read = (item: unknown) => {
    const text = typeof item === 'string' ? item : pairText(item);
    const match = /^(\[[\da-f:]+\]|[^\s:[\]]+)(?::(\d{1,5}))?$/i.exec(text?.trim() ?? '');
    const port = Number(match?.[2] ?? defaultPort);
    if (match?.[1] === undefined || port < 1 || port > 65_535) return undefined;
    return { host: match[1].replace(/^\[|\]$/g, ''), port };
  };
  return kind('a list of servers as host:port', (input) => {
    const items = typeof input === 'string' ? listIn(input) : input;
    if (!Array.isArray(items)) return undefined;
    const servers = items.map(read);
    return servers.every((server) => server !== undefined) ? servers : undefined;
  });
}

function listIn(text: string): unknown {
  if (!text.trim().startsWith('[')) return text.split(',');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function pairText(item: unknown): string | undefined {
  const [host, port]: unknown[] = Array.isArray(item)
    ? item
    : isJsonObject(item)
      ? [item['host'], item['port']]
      : [];
  if (typeof host !== 'string') return undefined;
  const bracketed = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  if (port === undefined) return bracketed;
  return typeof port === 'number' || typeof port === 'string' ? `${bracketed}:${port}` : undefined;
}

export function jsonObject(): z.ZodType<JsonObject, unknown> {
  return kind('a map', (input) => (isJsonObject(input) ? input : undefined));
}

const keyCounts = ['max_budget', 'max_parallel_requests', 'tpm_limit', 'rpm_limit'];
const keyDurations = ['duration', 'budget_duration'];

/** The most that a key may have, by field of `/key/generate`. */
export function keyBounds(): z.ZodType<{ [field: string]: number | string }, unknown> {
  const type = `a map of ${keyCounts.join(', ')} to numbers and of ${keyDurations.join(', ')} to durations such as 30d`;
  return kind(type, (input) => {
    if (!isJsonObject(input)) return undefined;
    const bounds: { [field: string]: number | string } = {};
    for (const [field, value] of Object.entries(input)) {
      // A bound that nobody set, as LiteLLM's examples have them.
      if (value === null) continue;
      const bound = keyCounts.includes(field)
        ? decimal({ min: 0, max: 1_000_000_000_000 }).safeParse(value).data
        : keyDurations.includes(field)
          ? duration().safeParse(value).data
          : undefined;
      if (bound === undefined) return undefined;
      bounds[field] = bound;
    }
    return bounds;
  });
}

/** A map whose values all have one kind. */
export function mapOf<Value>(
  value: z.ZodType<Value, unknown>,
): z.ZodType<Record<string, Value>, unknown> {
  const type = `a map of names to values, each ${typeOf(value)}`;
  return z.record(z.string(), value, { error: `must be ${type}` }).meta({ type }) as z.ZodType<
    Record<string, Value>,
    unknown
  >;
}

/** An optional key with effect. */
export function effective<Value>(
  schema: z.ZodType<Value, unknown>,
  description: string,
  fallback?: string,
): z.ZodOptional<z.ZodType<Value, unknown>> {
  return schema.optional().meta(meta('effective', schema, description, fallback));
}

/** A key that must be there. */
export function required<Value>(
  schema: z.ZodType<Value, unknown>,
  description: string,
): z.ZodType<Value, unknown> {
  return schema.meta({ ...meta('effective', schema, description), default: 'required' });
}

/** Besides empty lists and maps. */
const asksForNothing = [false, 'false', 0, ''];

/**
 * An accepted key without effect; `reason` ends the sentence "has no effect: …".
 *
 * @param harmless - more values that need not be listed at the start
 */
export function inert(
  reason: string,
  harmless: readonly unknown[] = [],
): z.ZodOptional<z.ZodUnknown> {
  return unused('inert', reason, [...asksForNothing, ...harmless]);
}

/** A key the gateway does not start with, unless it asks for nothing; `reason` ends the sentence "is refused: …". */
export function refused(
  reason: string,
  harmless: readonly unknown[] = [],
): z.ZodOptional<z.ZodUnknown> {
  return unused('refused', reason, [...asksForNothing, ...harmless]);
}

/** A key the gateway starts only with these values of. */
export function refusedUnless(
  harmless: readonly unknown[],
  reason: string,
): z.ZodOptional<z.ZodUnknown> {
  return unused('refused', reason, harmless);
}

function unused(
  status: 'inert' | 'refused',
  description: string,
  harmless: readonly unknown[],
): z.ZodOptional<z.ZodUnknown> {
  return z.unknown().optional().meta({ status, description, harmless });
}

/** Metadata of a key; undefined for parts of a schema that are no keys. */
export function keyMeta(schema: z.ZodType): KeyMeta | undefined {
  const found = schema.meta() as (KeyMeta & { status?: KeyStatus }) | undefined;
  return found?.status === undefined ? undefined : found;
}

/** What values a schema takes, in words. */
export function typeOf(schema: z.ZodType): string {
  const type = schema.meta()?.['type'];
  return typeof type === 'string' ? type : 'a map';
}

/** Tells whether a value is JSON's kind of object, all the way down. */
export function isJsonObject(value: unknown): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every(isJson)
  );
}

function isJson(value: unknown): value is JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  return Array.isArray(value) ? value.every(isJson) : isJsonObject(value);
}

function meta(
  status: KeyStatus,
  schema: z.ZodType,
  description: string,
  fallback?: string,
): KeyMeta {
  return {
    status,
    description,
    type: typeOf(schema),
    ...(fallback === undefined ? {} : { default: fallback }),
  };
}

function trimmed(input: unknown): string {
  return typeof input === 'string' ? input.trim() : '';
}

function readNumber(input: unknown): number | undefined {
  if (typeof input === 'number') return Number.isFinite(input) ? input : undefined;
  const word = trimmed(input);
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word)) return undefined;
  const value = Number(word);
  return Number.isFinite(value) ? value : undefined;
}
