import type { ContainerApp } from '@cdktn/provider-azurerm/lib/container-app/index.js';
import { ConsumptionBudgetResourceGroup } from '@cdktn/provider-azurerm/lib/consumption-budget-resource-group/index.js';
import { MonitorActionGroup } from '@cdktn/provider-azurerm/lib/monitor-action-group/index.js';
import { MonitorMetricAlert } from '@cdktn/provider-azurerm/lib/monitor-metric-alert/index.js';
import { MonitorScheduledQueryRulesAlertV2 } from '@cdktn/provider-azurerm/lib/monitor-scheduled-query-rules-alert-v2/index.js';
import type { Site } from './site.ts';
import type { Store } from './store-type.ts';

export type Watched = {
  readonly proxy: ContainerApp;
  readonly workspaceId: string;
  readonly redisId: string | undefined;
  readonly store: Store['watched'];
};

type Metric = {
  readonly id: string;
  readonly description: string;
  readonly scope: string;
  readonly namespace: string;
  readonly metric: string;
  readonly aggregation: 'Total' | 'Maximum' | 'Average';
  readonly above: number;
  readonly where?: { readonly dimension: string; readonly is: string };
};

/** Alerts on what callers would notice, told to the contacts. */
export function createAlerts(site: Site, watched: Watched): string | undefined {
  const { stack, base, name, configuration } = site;
  const { contacts } = configuration;
  if (contacts.length === 0) return undefined;
  const group = new MonitorActionGroup(stack, 'contacts', {
    resourceGroupName: base.resourceGroupName,
    tags: base.tags,
    name: name('ag'),
    // Shown in messages; twelve characters at most.
    shortName: 'aigateway',
    emailReceiver: contacts.map((emailAddress, index) => ({
      name: `contact-${index + 1}`,
      emailAddress,
      useCommonAlertSchema: true,
    })),
  });
  for (const one of metrics(watched)) {
    new MonitorMetricAlert(stack, `alert-${one.id}`, {
      name: `${name('ag')}-${one.id}`,
      resourceGroupName: base.resourceGroupName,
      tags: base.tags,
      description: one.description,
      scopes: [one.scope],
      severity: 2,
      frequency: 'PT1M',
      windowSize: 'PT5M',
      criteria: [
        {
          metricNamespace: one.namespace,
          metricName: one.metric,
          aggregation: one.aggregation,
          operator: 'GreaterThan',
          threshold: one.above,
          ...(one.where !== undefined && {
            dimension: [{ name: one.where.dimension, operator: 'Include', values: [one.where.is] }],
          }),
        },
      ],
      action: [{ actionGroupId: group.id }],
    });
  }
  for (const { id, description, query, column, above } of queries(watched.proxy.name)) {
    new MonitorScheduledQueryRulesAlertV2(stack, `alert-${id}`, {
      ...base,
      name: `${name('ag')}-${id}`,
      description,
      scopes: [watched.workspaceId],
      severity: 2,
      evaluationFrequency: 'PT5M',
      windowDuration: 'PT15M',
      // The table is there once the first app has written a line.
      skipQueryValidation: true,
      criteria: [
        {
          query,
          timeAggregationMethod: 'Maximum',
          metricMeasureColumn: column,
          operator: 'GreaterThan',
          threshold: above,
          failingPeriods: { numberOfEvaluationPeriods: 1, minimumFailingPeriodsToTriggerAlert: 1 },
        },
      ],
      action: { actionGroups: [group.id] },
    });
  }
  return group.id;
}

function metrics({ proxy, redisId, store }: Watched): Metric[] {
  const app = { scope: proxy.id, namespace: 'Microsoft.App/containerApps' };
  const found: Metric[] = [
    {
      ...app,
      id: 'server-errors',
      description: 'Callers got more than 20 answers of 500 and above in five minutes.',
      metric: 'Requests',
      aggregation: 'Total',
      above: 20,
      where: { dimension: 'statusCodeCategory', is: '5xx' },
    },
    {
      ...app,
      id: 'restarts',
      description: 'A replica was started again more than three times.',
      metric: 'RestartCount',
      aggregation: 'Maximum',
      above: 3,
    },
  ];
  if (redisId !== undefined) {
    found.push({
      id: 'redis-memory',
      description:
        'Redis is four fifths full. It throws nothing away: when it is full, limits cannot be counted.',
      scope: redisId,
      namespace: 'Microsoft.Cache/redisEnterprise',
      metric: 'usedmemorypercentage',
      aggregation: 'Maximum',
      above: 80,
    });
  }
  if (store?.kind === 'cosmos') {
    found.push({
      id: 'store-throttled',
      description:
        'Cosmos DB refused more than 100 requests in five minutes: it has too few request units.',
      scope: store.id,
      namespace: 'Microsoft.DocumentDB/databaseAccounts',
      metric: 'TotalRequests',
      aggregation: 'Total',
      above: 100,
      where: { dimension: 'StatusCode', is: '429' },
    });
  }
  if (store?.kind === 'postgres') {
    found.push({
      id: 'store-disk',
      description: 'The disk of PostgreSQL is more than 85 percent full.',
      scope: store.id,
      namespace: 'Microsoft.DBforPostgreSQL/flexibleServers',
      metric: 'storage_percent',
      aggregation: 'Maximum',
      above: 85,
    });
  }
  return found;
}

/** What only the gateway's own lines tell: docs/reference/logs.md. */
function queries(app: string) {
  const lines = (event: string) =>
    `ContainerAppConsoleLogs | where ContainerAppName == "${app}" | extend line = parse_json(Log) | where tostring(line.event) == "${event}"`;
  return [
    {
      id: 'slow',
      description: 'One call of twenty waits more than ten seconds for its first output.',
      query: `${lines('call')} | summarize milliseconds = percentile(todouble(line.firstOutputMs), 95)`,
      column: 'milliseconds',
      above: 10_000,
    },
    {
      id: 'throttled',
      description: 'Azure OpenAI refused more than 100 calls in a quarter of an hour with 429.',
      query: `${lines('attempt')} | where toint(line.status) == 429 | summarize refusals = sum(1 + coalesce(toint(line.omitted), 0))`,
      column: 'refusals',
      above: 100,
    },
  ];
}

/** Says when the month's money is nearly spent, and when it will be. */
export function createBudget(
  { stack, name, resourceGroupId, configuration }: Site,
  actionGroup: string,
): void {
  const { budget } = configuration;
  if (budget === undefined) return;
  const notice = { enabled: true, operator: 'GreaterThan', contactGroups: [actionGroup] };
  new ConsumptionBudgetResourceGroup(stack, 'budget', {
    name: name('budget'),
    resourceGroupId,
    amount: budget.amount,
    timeGrain: 'Monthly',
    timePeriod: { startDate: `${budget.from}T00:00:00Z` },
    notification: [
      { ...notice, threshold: 80, thresholdType: 'Actual' },
      { ...notice, threshold: 100, thresholdType: 'Forecasted' },
    ],
  });
}
