import { CdnFrontdoorEndpoint } from '@cdktn/provider-azurerm/lib/cdn-frontdoor-endpoint/index.js';
import { CdnFrontdoorFirewallPolicy } from '@cdktn/provider-azurerm/lib/cdn-frontdoor-firewall-policy/index.js';
import { CdnFrontdoorOriginGroup } from '@cdktn/provider-azurerm/lib/cdn-frontdoor-origin-group/index.js';
import { CdnFrontdoorOrigin } from '@cdktn/provider-azurerm/lib/cdn-frontdoor-origin/index.js';
import { CdnFrontdoorProfile } from '@cdktn/provider-azurerm/lib/cdn-frontdoor-profile/index.js';
import { CdnFrontdoorRoute } from '@cdktn/provider-azurerm/lib/cdn-frontdoor-route/index.js';
import { CdnFrontdoorSecurityPolicy } from '@cdktn/provider-azurerm/lib/cdn-frontdoor-security-policy/index.js';
import { DataAzurermContainerAppEnvironment } from '@cdktn/provider-azurerm/lib/data-azurerm-container-app-environment/index.js';
import { type App, TerraformOutput } from '../cdk.ts';
import { partsOf } from '../clients.ts';
import type { Configuration } from '../config.ts';
import { nameOf, type ResourceType } from '../names.ts';
import { codeOf } from '../regions.ts';
import { createGround } from './site.ts';

/** Front Door with private links, and managed rules, are of this kind alone. */
const skuName = 'Premium_AzureFrontDoor';

/** As long as Front Door waits for an answer to begin or go on: the gateway breaks silence before. */
const longestSilenceSeconds = 240;

/**
 * One address for the proxies of all regions: Front Door takes a caller to the nearest that answers. It has a stack of its own, which is
 * applied after those of the regions.
 *
 * Apps accept nobody else: their environments have no public network, and a private link of another Front Door would have to be approved
 * by hand, as this one is.
 */
export function addFrontDoor(
  app: App,
  id: string,
  configuration: Configuration,
  settings: NonNullable<Configuration['frontDoor']>,
): void {
  const { stack, tags } = createGround(app, id, configuration);
  const nameIn = (location: string, type: ResourceType) =>
    nameOf(type, { ...partsOf(configuration), location: codeOf(location) });
  const { location: first, furtherRegions } = configuration;
  const resourceGroupName = nameIn(first, 'rg');
  const profile = new CdnFrontdoorProfile(stack, 'front-door', {
    resourceGroupName,
    tags,
    name: nameIn(first, 'afd'),
    skuName,
    responseTimeoutSeconds: longestSilenceSeconds,
  });
  const endpoint = new CdnFrontdoorEndpoint(stack, 'address', {
    name: nameIn(first, 'fde'),
    cdnFrontdoorProfileId: profile.id,
    tags,
  });
  const group = new CdnFrontdoorOriginGroup(stack, 'proxies', {
    name: 'proxies',
    cdnFrontdoorProfileId: profile.id,
    sessionAffinityEnabled: false,
    healthProbe: {
      protocol: 'Https',
      path: '/health/liveliness',
      requestType: 'GET',
      intervalInSeconds: 30,
    },
    loadBalancing: { sampleSize: 4, successfulSamplesRequired: 2 },
  });
  const origins = [first, ...furtherRegions.map(({ location }) => location)].map((location) => {
    const code = codeOf(location);
    // Not the app itself: to read one the provider lists its secrets, which those who plan for pull requests may not.
    const environment = new DataAzurermContainerAppEnvironment(stack, `environment-${code}`, {
      name: nameIn(location, 'cae'),
      resourceGroupName: nameIn(location, 'rg'),
    });
    const host = `${nameIn(location, 'ca')}.${environment.defaultDomain}`;
    return new CdnFrontdoorOrigin(stack, `origin-${code}`, {
      name: code,
      cdnFrontdoorOriginGroupId: group.id,
      enabled: true,
      hostName: host,
      originHostHeader: host,
      certificateNameCheckEnabled: true,
      httpsPort: 443,
      priority: 1,
      weight: 500,
      privateLink: {
        location,
        privateLinkTargetId: environment.id,
        targetType: 'managedEnvironments',
        requestMessage: profile.name,
      },
    });
  });
  const route = new CdnFrontdoorRoute(stack, 'route', {
    name: 'all',
    cdnFrontdoorEndpointId: endpoint.id,
    cdnFrontdoorOriginGroupId: group.id,
    cdnFrontdoorOriginIds: origins.map(({ id }) => id),
    patternsToMatch: ['/*'],
    supportedProtocols: ['Http', 'Https'],
    httpsRedirectEnabled: true,
    forwardingProtocol: 'HttpsOnly',
    linkToDefaultDomain: true,
    // No cache and, with it, no compression: both would hold the events of a stream back.
  });
  const firewall = new CdnFrontdoorFirewallPolicy(stack, 'firewall', {
    resourceGroupName,
    tags,
    name: nameIn(first, 'waf'),
    skuName,
    mode: settings.wafMode,
    enabled: true,
    requestBodyCheckEnabled: true,
    managedRule: [
      { type: 'Microsoft_DefaultRuleSet', version: '2.1', action: 'Block' },
      { type: 'Microsoft_BotManagerRuleSet', version: '1.1', action: 'Block' },
    ],
    customRule: [
      {
        name: 'tooMany',
        type: 'RateLimitRule',
        action: 'Block',
        enabled: true,
        priority: 100,
        rateLimitDurationInMinutes: 1,
        rateLimitThreshold: settings.rateLimit,
        matchCondition: [
          { matchVariable: 'RequestUri', operator: 'BeginsWith', matchValues: ['/'] },
        ],
      },
      ...(settings.allowedIps.length === 0
        ? []
        : [
            {
              name: 'notAllowed',
              type: 'MatchRule',
              action: 'Block',
              enabled: true,
              priority: 10,
              matchCondition: [
                {
                  // The connection's own address: X-Forwarded-For, which a caller can write, does not count.
                  matchVariable: 'SocketAddr',
                  operator: 'IPMatch',
                  negationCondition: true,
                  matchValues: settings.allowedIps,
                },
              ],
            },
          ]),
    ],
  });
  new CdnFrontdoorSecurityPolicy(stack, 'firewall-of-address', {
    name: 'firewall',
    cdnFrontdoorProfileId: profile.id,
    securityPolicies: {
      firewall: {
        cdnFrontdoorFirewallPolicyId: firewall.id,
        association: {
          domain: [{ cdnFrontdoorDomainId: endpoint.id }],
          patternsToMatch: ['/*'],
        },
      },
    },
    dependsOn: [route],
  });
  new TerraformOutput(stack, 'url', { value: `https://${endpoint.hostName}` });
}
