import {
  collected,
  sumOf,
  type CallSeries,
  type CollectedMetric,
  type Series,
} from './call-series.ts';
import type { AttemptCount, DeploymentStanding } from './metrics.ts';
import { worstStates } from './worst-states.ts';

/**
 * The commonest metrics by LiteLLM's names, for dashboards that are there already: read from the counts that ours are read
 * from, so a call costs nothing more. Only labels from sets we own: no keys, teams, users or addresses.
 */
export function litellmMetrics(
  calls: CallSeries,
  attempts: () => readonly AttemptCount[],
  deployments: () => readonly DeploymentStanding[],
): CollectedMetric[] {
  const perModel = (name: string, help: string, read: (series: Series) => number) =>
    calls.counter(`litellm_${name}_total`, help, (series) => [
      { labels: { requested_model: series.labels.model }, value: read(series) },
    ]);
  const ofModel = ({ labels }: Series) => ({ requested_model: labels.model });
  const perDeployment = (name: string, help: string, counts: (status: number) => boolean) =>
    collected(`litellm_deployment_${name}_total`, help, 'counter', () =>
      sumOf(
        attempts()
          .filter(({ status }) => counts(status))
          .map(({ deployment, count }) => ({ labels: { model_id: deployment }, value: count })),
      ),
    );
  return [
    calls.counter(
      'litellm_proxy_total_requests_metric_total',
      'Requests answered',
      ({ labels: { endpoint, model, status }, requests }) => [
        {
          labels: { requested_model: model, route: endpoint, status_code: status },
          value: requests,
        },
      ],
    ),
    calls.counter(
      'litellm_proxy_failed_requests_metric_total',
      'Requests answered with an error or not to their end',
      ({ labels: { endpoint, model, status, outcome }, requests }) =>
        outcome === 'completed'
          ? []
          : [
              {
                labels: { requested_model: model, route: endpoint, exception_status: status },
                value: requests,
              },
            ],
    ),
    perModel('spend_metric', 'Cost in USD', ({ costNanoUsd }) => costNanoUsd / 1e9),
    perModel('total_tokens_metric', 'Input and output tokens', (one) => one.input + one.output),
    perModel('input_tokens_metric', 'Input tokens', ({ input }) => input),
    perModel('output_tokens_metric', 'Output tokens', ({ output }) => output),
    perModel(
      'input_cached_tokens_metric',
      "Input tokens read from the upstream's cache",
      ({ cachedInput }) => cachedInput,
    ),
    perModel(
      'output_reasoning_tokens_metric',
      'Output tokens spent on reasoning',
      ({ reasoning }) => reasoning,
    ),
    calls.histogram(
      'litellm_request_total_latency_metric',
      'Seconds from arrival to the last byte',
      ({ duration }) => duration,
      ofModel,
    ),
    calls.histogram(
      'litellm_llm_api_time_to_first_token_metric',
      'Seconds from arrival to the first output',
      ({ firstOutput }) => firstOutput,
      ofModel,
    ),
    collected(
      'litellm_deployment_state',
      'Health of each deployment: 0 healthy, 1 on trial, 2 cooling down',
      'gauge',
      () =>
        worstStates(deployments()).map(({ id, model, value }) => ({
          labels: { model_id: id, requested_model: model },
          value,
        })),
    ),
    perDeployment('total_requests', 'Tries of a deployment', () => true),
    perDeployment('success_responses', 'Tries that were answered with success', isSuccess),
    perDeployment('failure_responses', 'Tries that were not', (status) => !isSuccess(status)),
  ];
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}
