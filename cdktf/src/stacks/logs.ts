import { LogAnalyticsWorkspace } from '@cdktn/provider-azurerm/lib/log-analytics-workspace/index.js';
import { MonitorDiagnosticSetting } from '@cdktn/provider-azurerm/lib/monitor-diagnostic-setting/index.js';
import type { Site } from './site.ts';

/** Where the apps' standard output goes. */
export function createWorkspace({ stack, base, name, configuration }: Site): LogAnalyticsWorkspace {
  const { retentionDays, dailyGb } = configuration.logs;
  return new LogAnalyticsWorkspace(stack, 'logs', {
    ...base,
    name: name('law'),
    sku: 'PerGB2018',
    retentionInDays: retentionDays,
    dailyQuotaGb: dailyGb,
    localAuthenticationEnabled: false,
  });
}

/** What the apps of an environment write, and what Container Apps says of them, as tables of the workspace. */
export function sendLogs({ stack }: Site, { of, to }: { of: string; to: string }): void {
  new MonitorDiagnosticSetting(stack, 'logs-of-apps', {
    name: 'logs',
    targetResourceId: of,
    logAnalyticsWorkspaceId: to,
    enabledLog: [{ category: 'ContainerAppConsoleLogs' }, { category: 'ContainerAppSystemLogs' }],
  });
}
