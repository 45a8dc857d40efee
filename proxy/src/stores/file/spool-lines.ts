import type { LedgerEvent, UsageRecord } from '@aigateway/contract/usage';
import { noTokens } from '@aigateway/contract/usage';
import type { OpenedCall } from '../../ports.ts';

/** What the spool writes: one JSON array a line. */
export type SpoolLine =
  /** Begins a segment: the sequence that the next end will have. */
  | { readonly kind: 'segment'; readonly next: number }
  /** A call that is about to be sent: what it is charged if its end is never written. */
  | { readonly kind: 'open'; readonly account: number; readonly record: UsageRecord }
  | { readonly kind: 'end'; readonly account: number; readonly event: LedgerEvent };

export function segmentLine(next: number): string {
  return `["segment",${next}]\n`;
}

export function openLine(account: number, call: OpenedCall, startedAt: number): string {
  return `["open",${account},${JSON.stringify(expectedRecord(call, startedAt))}]\n`;
}

export function endLine(account: number, { sequence, record }: LedgerEvent): string {
  return `["end",${account},${sequence},${JSON.stringify(record)}]\n`;
}

/** Undefined for a line that was cut off when the process or the machine stopped. */
export function parseLine(text: string): SpoolLine | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(fields)) return undefined;
  const [kind, first, second, third] = fields as unknown[];
  if (typeof first !== 'number') return undefined;
  if (kind === 'segment') return { kind, next: first };
  if (kind === 'open') return { kind, account: first, record: second as UsageRecord };
  if (kind !== 'end' || typeof second !== 'number') return undefined;
  return { kind, account: first, event: { sequence: second, record: third as UsageRecord } };
}

/** The record of a call of which nothing but the beginning is known. */
function expectedRecord(call: OpenedCall, startedAt: number): UsageRecord {
  const { key, expected } = call;
  return {
    version: 1,
    requestId: call.requestId,
    startedAt,
    durationMs: 0,
    keyId: key.keyId,
    keyAlias: key.alias,
    ownerId: key.ownerId,
    teamId: key.teamId,
    userId: key.userId,
    organizationId: key.organizationId,
    customerId: call.customerId,
    tags: call.tags,
    model: call.model,
    operation: call.operation,
    stream: call.stream,
    status: 0,
    outcome: 'interrupted',
    tokens: { ...noTokens, input: expected?.input ?? 0, output: expected?.output ?? 0 },
    usageSource: 'estimated',
    costNanoUsd: expected?.costNanoUsd ?? 0,
    unpriced: (expected?.costNanoUsd ?? 0) === 0,
    attempts: [],
  };
}
