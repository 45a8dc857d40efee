/**
 * Dated api-versions the classic surface still serves. Previews before 2024-02-15 are retired and answer like a
 * path that does not exist.
 */
const SERVED = new Set([
  '2022-12-01',
  '2023-05-15',
  '2024-02-01',
  '2024-02-15-preview',
  '2024-03-01-preview',
  '2024-04-01-preview',
  '2024-05-01-preview',
  '2024-06-01',
  '2024-07-01-preview',
  '2024-08-01-preview',
  '2024-09-01-preview',
  '2024-10-01-preview',
  '2024-10-21',
  '2024-12-01-preview',
  '2025-01-01-preview',
  '2025-02-01-preview',
  '2025-03-01-preview',
  '2025-04-01-preview',
]);

/** First api-version that knows a parameter (or, with `=`, one value of it); older versions refuse it. */
export const FEATURE_SINCE: Readonly<Record<string, string>> = {
  tools: '2024-02-01',
  'tool_choice=required': '2024-06-01',
  'response_format.type=json_schema': '2024-08-01-preview',
  stream_options: '2024-09-01-preview',
  max_completion_tokens: '2024-09-01-preview',
  parallel_tool_calls: '2024-09-01-preview',
  reasoning_effort: '2024-12-01-preview',
  store: '2024-12-01-preview',
  metadata: '2024-12-01-preview',
  prediction: '2025-01-01-preview',
  modalities: '2025-01-01-preview',
};

/** Whether the classic surface serves this version at all. */
export function isServedVersion(version: string | undefined): version is string {
  return version !== undefined && SERVED.has(version);
}

/** Whether `version` is at least `since`, by date alone: Azure's GA versions carry what earlier previews had. */
export function isAtLeast(version: string, since: string): boolean {
  return version.slice(0, 10) >= since.slice(0, 10);
}

/** Whether the v1 surface accepts this `api-version` query value. */
export function isV1Version(version: string | undefined): boolean {
  return version === undefined || version === 'v1' || version === 'preview';
}
