import type { UsageRecord } from '@aigateway/contract/usage';

/** Seconds; from answers out of memory to reasoning models that think for ten minutes. */
const durationBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
] as const;

/** One metric as prom-client's registry takes it: read when scraped, cost-free before. */
export type CollectedMetric = {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  get(): Promise<{
    name: string;
    help: string;
    type: 'counter' | 'gauge' | 'histogram';
    values: { metricName?: string; labels: Record<string, string | number>; value: number }[];
    aggregator: 'sum';
  }>;
  reset(): void;
};

/** Counts of durations; the last place is for those beyond the last bucket. */
export type Histogram = { counts: Float64Array; sum: number };

/** What is counted of the calls that ended alike. */
export type Series = {
  readonly labels: { endpoint: string; model: string; outcome: string; status: number };
  requests: number;
  input: number;
  cachedInput: number;
  output: number;
  reasoning: number;
  /** Tokens that were reserved at admission and not used. */
  unused: number;
  costNanoUsd: number;
  readonly duration: Histogram;
  readonly firstOutput: Histogram;
};

/**
 * What is counted of every call, kept as plain numbers and rendered when scraped: on the hot path a look-up and a few
 * additions, where a metrics library hashes labels for each of a dozen counters.
 */
export class CallSeries {
  /** By model. Of each there are a few; a joined name of all labels would be put together and hashed for every call. */
  readonly #series = new Map<string, Series[]>();

  /**
   * @param model - the model group as configured, so that the number of series is bounded
   * @param reserved - tokens that the call was admitted with
   */
  add(endpoint: string, model: string, record: UsageRecord, reserved: number): void {
    const series = this.#seriesOf(endpoint, model, record);
    const { tokens } = record;
    series.requests += 1;
    series.input += tokens.input;
    series.cachedInput += tokens.cachedInput;
    series.output += tokens.output;
    series.reasoning += tokens.reasoning;
    // A call that used nothing was refused or failed: that it asked for too much is not what was lost by it.
    if (record.usageSource !== 'none')
      series.unused += Math.max(0, reserved - tokens.input - tokens.output);
    series.costNanoUsd += record.costNanoUsd;
    observe(series.duration, record.durationMs / 1000);
    if (record.firstOutputMs !== undefined)
      observe(series.firstOutput, record.firstOutputMs / 1000);
  }

  #seriesOf(endpoint: string, model: string, record: UsageRecord): Series {
    let ofModel = this.#series.get(model);
    if (ofModel === undefined) this.#series.set(model, (ofModel = []));
    for (const series of ofModel) {
      const { labels } = series;
      if (
        labels.endpoint === endpoint &&
        labels.outcome === record.outcome &&
        labels.status === record.status
      )
        return series;
    }
    const series = newSeries(endpoint, model, record);
    ofModel.push(series);
    return series;
  }

  #all(): Series[] {
    return [...this.#series.values()].flat();
  }

  /** A counter over all series. */
  counter(name: string, help: string, read: (series: Series) => Value[]): CollectedMetric {
    return collected(name, help, 'counter', () => sumOf(this.#all().flatMap(read)));
  }

  /** A histogram over all series. */
  histogram(
    name: string,
    help: string,
    read: (series: Series) => Histogram,
    labelsOf: (series: Series) => Labels,
  ): CollectedMetric {
    return collected(name, help, 'histogram', () =>
      sumOf(this.#all().flatMap((series) => bucketsOf(name, labelsOf(series), read(series)))),
    );
  }

  /** The metrics, each under `prefix`. */
  metrics(prefix: string): CollectedMetric[] {
    const counter = (name: string, help: string, read: (series: Series) => Value[]) =>
      this.counter(`${prefix}${name}`, help, read);
    const histogram = (name: string, help: string, read: (series: Series) => Histogram) =>
      this.histogram(`${prefix}${name}`, help, read, ({ labels: { endpoint, model } }) => ({
        endpoint,
        model,
      }));
    return [
      counter('requests_total', 'Requests answered, by how they ended', ({ labels, requests }) => [
        { labels, value: requests },
      ]),
      counter('tokens_total', 'Tokens accounted for', (series) =>
        (['input', 'cachedInput', 'output', 'reasoning'] as const).map((kind) => ({
          labels: {
            model: series.labels.model,
            kind: kind === 'cachedInput' ? 'cached_input' : kind,
          },
          value: series[kind],
        })),
      ),
      counter(
        'tokens_unused_total',
        'Tokens reserved at admission and not used: quota lost to a max_tokens far above the answer',
        ({ labels, unused }) => [{ labels: { model: labels.model }, value: unused }],
      ),
      counter('cost_usd_total', 'Cost accounted for, in USD', ({ labels, costNanoUsd }) => [
        { labels: { model: labels.model }, value: costNanoUsd / 1e9 },
      ]),
      histogram(
        'request_duration_seconds',
        'From arrival to the last byte',
        ({ duration }) => duration,
      ),
      histogram(
        'first_output_seconds',
        'From arrival to the first output',
        ({ firstOutput }) => firstOutput,
      ),
    ];
  }
}

type Labels = Record<string, string | number>;

/** One sample. */
export type Value = { metricName?: string; labels: Labels; value: number };

function newSeries(endpoint: string, model: string, { outcome, status }: UsageRecord): Series {
  return {
    labels: { endpoint, model, outcome, status },
    requests: 0,
    input: 0,
    cachedInput: 0,
    output: 0,
    reasoning: 0,
    unused: 0,
    costNanoUsd: 0,
    duration: newHistogram(),
    firstOutput: newHistogram(),
  };
}

function newHistogram(): Histogram {
  return { counts: new Float64Array(durationBuckets.length + 1), sum: 0 };
}

function observe(histogram: Histogram, seconds: number): void {
  let bucket = 0;
  while (bucket < durationBuckets.length && seconds > (durationBuckets[bucket] ?? 0)) bucket += 1;
  histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
  histogram.sum += seconds;
}

function bucketsOf(name: string, labels: Labels, { counts, sum }: Histogram): Value[] {
  let total = 0;
  const values: Value[] = [];
  for (const [index, count] of counts.entries()) {
    total += count;
    const le = durationBuckets[index] ?? '+Inf';
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: total });
  }
  values.push({ metricName: `${name}_sum`, labels, value: sum });
  values.push({ metricName: `${name}_count`, labels, value: total });
  return values;
}

/** Series that differ only by labels the metric does not have are one. */
export function sumOf(values: readonly Value[]): Value[] {
  const sums = new Map<string, Value>();
  for (const value of values) {
    const key = `${value.metricName ?? ''}\n${Object.values(value.labels).join('\n')}`;
    const known = sums.get(key);
    if (known === undefined) sums.set(key, { ...value });
    else known.value += value.value;
  }
  return [...sums.values()];
}

/** A metric whose samples are computed when it is scraped. */
export function collected(
  name: string,
  help: string,
  type: CollectedMetric['type'],
  read: () => Value[],
): CollectedMetric {
  return {
    name,
    help,
    type,
    get: () => Promise.resolve({ name, help, type, values: read(), aggregator: 'sum' }),
    // Counts since the start: nothing resets them.
    reset: () => undefined,
  };
}
