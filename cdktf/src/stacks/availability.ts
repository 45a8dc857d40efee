import { ApplicationInsights } from '@cdktn/provider-azurerm/lib/application-insights/index.js';
import { ApplicationInsightsStandardWebTest } from '@cdktn/provider-azurerm/lib/application-insights-standard-web-test/index.js';
import { MonitorMetricAlert } from '@cdktn/provider-azurerm/lib/monitor-metric-alert/index.js';
import type { Site } from './site.ts';

/** Answered without a key and without asking anything else. */
const path = '/health/liveliness';

/** Azure's names of places that ask: Amsterdam, Dublin, Singapore. */
const places = ['emea-nl-ams-azr', 'emea-gb-db3-azr', 'apac-sg-sin-azr'];

/** Application Insights, and, where the gateway lets the world in, a test from outside that it answers. */
export function createAvailabilityTest(
  { stack, base, name, configuration }: Site,
  {
    url,
    workspaceId,
    actionGroup,
  }: { url: string; workspaceId: string; actionGroup: string | undefined },
): void {
  const { applicationInsights, proxy, frontDoor, network } = configuration;
  if (!applicationInsights) return;
  const insights = new ApplicationInsights(stack, 'insights', {
    ...base,
    name: name('ai'),
    applicationType: 'web',
    workspaceId,
    localAuthenticationDisabled: true,
  });
  const isOpen =
    proxy.allowedIps.length === 0 && frontDoor === undefined && network?.isInternal !== true;
  if (!isOpen) return;
  const test = new ApplicationInsightsStandardWebTest(stack, 'availability', {
    ...base,
    name: `${name('ai')}-availability`,
    applicationInsightsId: insights.id,
    enabled: true,
    frequency: 300,
    timeout: 60,
    retryEnabled: true,
    geoLocations: places,
    request: { url: `https://${url}${path}`, followRedirectsEnabled: false },
    validationRules: {
      expectedStatusCode: 200,
      sslCheckEnabled: true,
      sslCertRemainingLifetime: 7,
    },
  });
  if (actionGroup === undefined) return;
  new MonitorMetricAlert(stack, 'alert-availability', {
    name: `${name('ag')}-availability`,
    resourceGroupName: base.resourceGroupName,
    tags: base.tags,
    description: 'The gateway does not answer two of three places.',
    scopes: [test.id, insights.id],
    severity: 1,
    applicationInsightsWebTestLocationAvailabilityCriteria: {
      webTestId: test.id,
      componentId: insights.id,
      failedLocationCount: 2,
    },
    action: [{ actionGroupId: actionGroup }],
  });
}
