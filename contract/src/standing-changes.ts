import * as z from 'zod';

/** That a deployment began to rest, or is back, as one proxy saw it. */
export const standingChange = z.object({
  deploymentId: z.string(),
  /** The model's group, whose members the deployment is one of: behind a wildcard the pattern, since names are callers' own. */
  model: z.string(),
  /** Milliseconds since the epoch. */
  at: z.int().min(0).max(8.64e15),
  healthy: z.boolean(),
  /** Why it rests. */
  reason: z.string().optional(),
  /** Class of the last failure. */
  lastFailure: z.string().optional(),
  /** The process: name of its host, and its number there. */
  seenBy: z.string(),
});

export type StandingChange = z.infer<typeof standingChange>;

/** What is remembered of how deployments fared. */
export interface StandingChanges {
  /** Never fails, and waits for nobody. */
  tell(change: StandingChange): void;
  /** The last ones, 1,000 at most, the newest last: those of every proxy that shares them. Never fails. */
  recent(): Promise<readonly StandingChange[]>;
}

/** So many are remembered. */
export const rememberedChanges = 1000;

/**
 * A change as a row of LiteLLM's list of checks.
 *
 * @returns `checked_at` in ISO 8601, UTC
 */
export function checkRow({
  model,
  deploymentId,
  healthy,
  reason,
  lastFailure,
  at,
}: Omit<StandingChange, 'seenBy'>) {
  return {
    model_name: model,
    model_id: deploymentId,
    status: healthy ? ('healthy' as const) : ('unhealthy' as const),
    error_message: healthy ? null : (lastFailure ?? reason ?? null),
    checked_at: new Date(at).toISOString(),
  };
}

export type CheckRow = ReturnType<typeof checkRow> & { readonly checked_by?: string };

/** What a list of checks is asked for. */
export type CheckQuery = {
  /** Public name. Like the status, given twice it fits nothing. */
  readonly model?: string | string[] | undefined;
  /** `healthy` or `unhealthy`. */
  readonly status?: string | string[] | undefined;
  readonly limit: number;
  readonly offset: number;
};

/** LiteLLM's list of checks. @param rows - the newest last; the answer has it first */
export function checkList(rows: readonly CheckRow[], { model, status, limit, offset }: CheckQuery) {
  const found = rows
    .filter(
      (row) =>
        (model === undefined || row.model_name === model) &&
        (status === undefined || row.status === status),
    )
    .toReversed();
  return {
    health_checks: found.slice(offset, offset + limit),
    total_records: found.length,
    limit,
    offset,
  };
}

/** LiteLLM's list of the last check of each deployment. @param rows - one for each */
export function latestChecks(rows: readonly CheckRow[]) {
  return {
    latest_health_checks: Object.fromEntries(rows.map((row) => [row.model_id, row])),
    total_models: rows.length,
  };
}
