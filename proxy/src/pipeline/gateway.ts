import type { StandingChanges } from '@aigateway/contract/standing-changes';
import type { Corrections } from '../accounting/corrections.ts';
import type { LoginThrottle } from '@aigateway/contract/login-throttle';
import type { Meter } from '../accounting/meter.ts';
import type { OutputMeans } from '../admission/estimate.ts';
import type { Clock, Limiter } from '../ports.ts';
import type { IdTagger } from '../routing/affinity.ts';
import type { Deployments } from '../routing/deployments.ts';
import type { Snapshot } from '../snapshot.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import type { DeploymentLog } from '../telemetry/deployment-log.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Credentials } from '../upstream/credential.ts';
import type { Transport } from '../upstream/transport.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { ReplyTiming } from './reply.ts';

/** Times and sizes of this process; none of them belongs to the records. */
export type PipelineOptions = {
  /** Version of the gateway, for `x-litellm-version`. */
  readonly version: string;
  readonly maxBodyBytes: number;
  readonly timing: ReplyTiming;
  /** Longest that a request waits for a deployment to come back before it is refused. */
  readonly longestWaitMs: number;
  /** Longest silence of an upstream in the middle of an answer. */
  readonly bodyIdleMs: number;
  /** How many proxies before this one are ours: only what they wrote into `x-forwarded-for` is believed. */
  readonly trustedHops: number;
};

/** Everything the pipeline works with, chosen in one place (`proxy.ts`). */
export type Gateway = {
  readonly clock: Clock;
  /** Between 0 and 1, as `Math.random`. */
  readonly random: () => number;
  /** Undefined until the first complete set of records is there. */
  readonly snapshot: () => Snapshot | undefined;
  /** Takes a key that is newer than the records into them; false when there is none. Absent where records come whole. */
  readonly findKey: ((hash: string) => Promise<boolean>) | undefined;
  /** Slows down who guesses keys; undefined = nobody does. */
  readonly logins: LoginThrottle | undefined;
  readonly deployments: Deployments;
  readonly limiter: Limiter;
  readonly meter: Meter;
  readonly corrections: Corrections;
  readonly outputMeans: OutputMeans;
  readonly transport: Transport;
  readonly credentials: Credentials;
  readonly tagger: IdTagger;
  readonly heartbeat: Heartbeat;
  readonly metrics: Metrics;
  readonly accessLog: AccessLog;
  readonly deploymentLog: DeploymentLog;
  readonly standingChanges: StandingChanges;
  readonly logger: Logger;
  readonly options: PipelineOptions;
};
