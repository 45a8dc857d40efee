import type { Operation } from '@aigateway/contract/records';
import type { Capability } from '../operations/capability.ts';

/** One row of the table of what the proxy answers with model traffic. */
export type Endpoint = {
  /** Bounded name for logs and metrics. */
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path without any of the accepted prefixes; `:id` stands for one segment. */
  readonly path: string;
  readonly operation: Operation;
  /** What a deployment must be able to do for it, itself or over a bridge. */
  readonly capability: Capability;
  /**
   * - `create`: runs a model; may be bridged, retried and failed over
   * - `auxiliary`: about a conversation, without an answer to it (counting, compaction); may be bridged like `create`
   * - `stored`: about an object that lives in one resource
   */
  readonly kind: 'create' | 'auxiliary' | 'stored';
  /** Whether tokens are spent by it. Counting them, or reading what is stored, costs nothing. */
  readonly metered: boolean;
  /** The path behind the operation's own, with `:id` where the object's id goes. */
  readonly suffix: string;
};

/** An endpoint found for a request, with what its path named. */
export type Match = {
  readonly endpoint: Endpoint;
  /** The model that the path names; it wins over the body's. */
  readonly model: string | undefined;
  readonly id: string | undefined;
};
