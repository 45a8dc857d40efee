import type { Configuration } from '../configuration.ts';
import type { Role } from '../command-line.ts';

export type FindingStatus = 'ok' | 'warning' | 'failed';

/** What a check found, for the operator. Holds no secret. */
export type Finding = {
  readonly area: 'configuration' | 'process' | 'files' | 'upstream' | 'redis' | 'store';
  /** What was looked at, e.g. the id of a deployment. */
  readonly subject: string;
  readonly status: FindingStatus;
  /** What is so, or what is wrong. */
  readonly message: string;
  /** What to change; absent where nothing need be. */
  readonly change?: string;
};

type Environment = { readonly [name: string]: string | undefined };

/** What there is to look at. */
export type Patient = {
  readonly role: Role;
  readonly configuration: Configuration;
  readonly environment: Environment;
  /** Where a `.env` file may be. */
  readonly environmentFile: string;
  /** Version of the API to try beside that of each deployment of the classic dialect: a dated one, or `v1`. */
  readonly apiVersion: string | undefined;
};

/**
 * Looks at one thing that the gateway depends on, changes nothing and uses no tokens. What it throws counts as a failure of its area.
 */
export type Check = {
  readonly area: Finding['area'];
  run(patient: Patient): Promise<readonly Finding[]>;
};

/** Makes the findings of one thing. */
export function about(area: Finding['area'], subject: string) {
  const finding = (status: FindingStatus, message: string, change?: string): Finding => ({
    area,
    subject,
    status,
    message,
    ...(change !== undefined && { change }),
  });
  return {
    ok: (message: string): Finding => finding('ok', message),
    warning: (message: string, change: string): Finding => finding('warning', message, change),
    failed: (message: string, change: string): Finding => finding('failed', message, change),
  };
}
