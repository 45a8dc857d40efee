import { randomUUID } from 'node:crypto';
import type { JsonObject } from '@aigateway/contract/records';
import type { AuditEntry } from '../store/audit.ts';

/** Who starts jobs: whoever has the gateway's secrets and its command line. */
const commandLine = 'command_line';

/** What was done on the command line. */
export type Job = {
  /** `copied`, `restored`, `backed_up`, `resealed`, `imported` */
  readonly action: string;
  /** What it was done with, without secrets. */
  readonly objectId: string;
  /** The option: `--copy`… */
  readonly option: string;
  readonly result: JsonObject;
};

/** The audit's record of a job on a store. */
export function jobEntry(
  { action, objectId, option, result }: Job,
  nowMs = Date.now(),
): AuditEntry {
  return {
    at: nowMs,
    actor: commandLine,
    actorRole: commandLine,
    onBehalfOf: null,
    action,
    objectKind: 'store',
    objectId,
    route: option,
    requestId: randomUUID(),
    before: null,
    after: result,
  };
}
