import { noTokens, type TokenCounts, type UsageRecord } from '@aigateway/contract/usage';
import type { Dimension } from '../store/ledger.ts';
import { keyIdOf } from './litellm-documents.ts';

/** What stands where LiteLLM does not say which key or model it was. */
const unnamed = 'litellm';

/** Several requests that are known as a sum alone. */
export type CarriedSum = {
  readonly requestId: string;
  readonly atMs: number;
  readonly countsIn: readonly Dimension[];
  readonly named: Partial<
    Pick<UsageRecord, 'keyId' | 'userId' | 'teamId' | 'organizationId' | 'customerId' | 'model'>
  > & { readonly tag?: string | undefined };
  readonly requests: number;
  readonly failed: number;
  readonly tokens?: Partial<TokenCounts>;
  readonly costNanoUsd: number;
};

export function sumRecord({ named: { tag, ...named }, ...carried }: CarriedSum): UsageRecord {
  const keyId = named.keyId ?? unnamed;
  return {
    version: 1,
    requestId: carried.requestId,
    startedAt: carried.atMs,
    durationMs: 0,
    ...named,
    keyId,
    ownerId: named.teamId ?? named.userId ?? keyId,
    tags: tag === undefined ? [] : [tag],
    model: named.model ?? unnamed,
    operation: 'carried over',
    stream: false,
    status: 200,
    outcome: 'completed',
    tokens: { ...noTokens, ...carried.tokens },
    usageSource: 'estimated',
    costNanoUsd: carried.costNanoUsd,
    unpriced: false,
    attempts: [],
    sum: { countsIn: carried.countsIn, requests: carried.requests, failed: carried.failed },
  };
}

/** The key that a hash is of; the master key stands by its name. */
export function keyOfHash(hash: string): string {
  return /^[0-9a-f]{64}$/.test(hash) ? keyIdOf(hash) : hash || unnamed;
}
