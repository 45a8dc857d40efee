import * as z from 'zod';

import { NAMED_ERROR_NAMES } from './named-errors.ts';
import type { Random } from './random.ts';

const selection = {
  resource: z.string().optional().describe('Only calls to this resource'),
  deployment: z.string().optional().describe('Only calls of this deployment'),
  operation: z.string().optional().describe('Only this operation, e.g. chat.completions or token'),
  skip: z.int().min(0).default(0).describe('Lets this many matching calls pass first'),
  times: z
    .int()
    .min(1)
    .optional()
    .describe('Strikes this often, then ends; default: until removed'),
  probability: z.number().min(0).max(1).default(1).describe('Chance per call, from the seed'),
};

const place = {
  at: z.enum(['before-headers', 'after-headers', 'mid-body']).default('before-headers'),
  afterEvents: z
    .int()
    .min(0)
    .default(1)
    .describe('mid-body of a stream: events with output that are sent whole before'),
};

/** What can be made to go wrong, and for which calls. */
export const faultSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('error'), error: z.enum(NAMED_ERROR_NAMES), ...selection }),
  z.strictObject({
    kind: z.literal('rate-limit'),
    form: z
      .enum(['both', 'ms', 'seconds', 'date', 'text', 'none'])
      .default('both')
      .describe('Where the wait is told: headers, an HTTP date, the text alone, nowhere'),
    retryAfterMs: z.int().min(0).default(1000),
    wording: z.enum(['classic', '2025', '2026']).optional(),
    ...selection,
  }),
  z.strictObject({
    kind: z.literal('stream-error'),
    shape: z
      .enum(['nested', 'flat', 'provisioned', 'failed'])
      .default('nested')
      .describe('Form on Responses; chat has one form only'),
    error: z
      .enum(['rate-limit', 'server-error'])
      .optional()
      .describe('Default: rate-limit before output, server-error after it'),
    afterEvents: z
      .int()
      .min(0)
      .default(0)
      .describe('Events with output that are sent before the error'),
    retryAfterMs: z.int().min(0).optional().describe('Wait told in the text of a rate limit'),
    ...selection,
  }),
  z.strictObject({
    kind: z.literal('cut'),
    afterEvents: place.afterEvents,
    ...selection,
  }),
  z.strictObject({
    kind: z.literal('stall'),
    ...place,
    ms: z.number().min(0).optional().describe('Then goes on; default: until the caller leaves'),
    ...selection,
  }),
  z.strictObject({ kind: z.literal('reset'), ...place, ...selection }),
]);

/** A fault as written; most fields have defaults. */
export type FaultSpec = z.input<typeof faultSchema>;
/** A fault with its defaults filled in. */
export type Fault = z.output<typeof faultSchema>;

/** The call a fault may strike. */
export type FaultTarget = { resource: string; deployment: string | undefined; operation: string };

/** The faults in force. */
export interface FaultBook {
  /** @throws {Error} if the specification is wrong */
  add(spec: unknown): { id: number; remove(): void };
  /** Removes one fault; false when there is none of that id. */
  remove(id: number): boolean;
  clear(): void;
  list(): { id: number; fault: Fault; struck: number }[];
  /** The fault that strikes this call, or undefined; counts it. */
  next(target: FaultTarget): Fault | undefined;
}

/** An empty book; chances come from `random`. */
export function createFaultBook(random: Random): FaultBook {
  let lastId = 0;
  const faults = new Map<number, { fault: Fault; seen: number; struck: number }>();
  return {
    add: (spec) => {
      const fault = parseFault(spec);
      lastId += 1;
      const id = lastId;
      faults.set(id, { fault, seen: 0, struck: 0 });
      return { id, remove: () => void faults.delete(id) };
    },
    remove: (id) => faults.delete(id),
    clear: () => {
      faults.clear();
    },
    list: () => [...faults].map(([id, { fault, struck }]) => ({ id, fault, struck })),
    next: (target) => {
      for (const [id, entry] of faults) {
        const { fault } = entry;
        if (!matches(fault, target)) continue;
        entry.seen += 1;
        if (entry.seen <= fault.skip) continue;
        if (fault.probability < 1 && random.next() >= fault.probability) continue;
        entry.struck += 1;
        if (fault.times !== undefined && entry.struck >= fault.times) faults.delete(id);
        return fault;
      }
      return undefined;
    },
  };
}

function matches(fault: Fault, target: FaultTarget): boolean {
  return (
    (fault.resource === undefined || fault.resource === target.resource) &&
    (fault.deployment === undefined || fault.deployment === target.deployment) &&
    (fault.operation === undefined || fault.operation === target.operation)
  );
}

/**
 * Checks a fault specification.
 *
 * @throws {Error} with every problem in its message
 */
function parseFault(spec: unknown): Fault {
  const result = faultSchema.safeParse(spec);
  if (result.success) return result.data;
  throw new Error(`wrong fault:\n${z.prettifyError(result.error)}`);
}

/**
 * Reads the fault command of a prompt: a kind, then words and numbers in any order, then `on NAME` for a resource or
 * deployment.
 *
 * @returns undefined when the words make no fault or it is meant for somebody else
 */
export function faultOfWords(words: string, target: FaultTarget): Fault | undefined {
  const [command = '', name] = words.split(/\s+on\s+/);
  if (name !== undefined && name !== target.resource && name !== target.deployment)
    return undefined;
  const [kind = '', ...rest] = command.trim().split(/\s+/);
  const text = rest.find((word) => Number.isNaN(Number(word)));
  const count = rest.map(Number).find((number) => !Number.isNaN(number));
  const spec: Record<string, unknown> = { kind };
  const textField = {
    error: 'error',
    'rate-limit': 'form',
    'stream-error': 'shape',
    stall: 'at',
    reset: 'at',
  }[kind];
  const countField = {
    'rate-limit': 'retryAfterMs',
    stall: 'ms',
    cut: 'afterEvents',
    'stream-error': 'afterEvents',
    reset: 'afterEvents',
  }[kind];
  if (text !== undefined && textField !== undefined) spec[textField] = text;
  if (count !== undefined && countField !== undefined) spec[countField] = count;
  return faultSchema.safeParse(spec).data;
}
