import type { Json } from '../snapshot-files.ts';
import type { Meter, Unit } from './meters.ts';

/** What one resource is charged for. */
export type Charge = {
  /** `TYPE.ID` in the stack. */
  readonly resource: string;
  readonly what: string;
  /** Undefined for tokens, whose prices are the gateway's own: contract/data/prices.json. */
  readonly meter: Meter | undefined;
  readonly unit: Unit;
  /**
   * `fixed` is paid as long as the resource is there, `idle` for replicas that wait for calls, `use` for what calls need.
   */
  readonly kind: 'fixed' | 'idle' | 'use';
  /** Units a month, zero for what only grows with use. */
  readonly quantity: number;
  /** Units a month that the configuration allows at most, where it says so. */
  readonly most?: number;
};

/** As Azure's calculator counts. */
const hoursPerMonth = 730;
const secondsPerMonth = hoursPerMonth * 3600;
const daysPerMonth = 30;

type Resource = { readonly [key: string]: unknown };

type Place = {
  /** `TYPE.ID` of the resource. */
  readonly address: string;
  readonly region: string;
  readonly stack: Stack;
};

/** All resources of a stack by type and id. */
type Stack = { readonly [type: string]: { readonly [id: string]: Resource } };

type Rule = (resource: Resource, place: Place) => Charge[];

/**
 * What a stack is charged for, as its Terraform JSON says.
 *
 * @throws {Error} for a resource type, or a size of one, of which nothing is known here: a sheet that leaves something out says too little
 */
export function chargesOf({ resource: all }: Json): Charge[] {
  const stack = all as Stack;
  const group = Object.values(stack['azurerm_resource_group'] ?? {})[0];
  const region = regionOf(group) ?? 'global';
  return Object.entries(stack).flatMap(([type, resources]) => {
    const rule = rules[type];
    if (rule === undefined && !free.has(type))
      throw new Error(`nothing says what ${type} costs: add it to cdktf/src/cost/charges.ts`);
    return Object.entries(resources).flatMap(([id, one]) => {
      const place = { address: `${type}.${id}`, region: regionOf(one) ?? region, stack };
      return rule?.(one, place) ?? [];
    });
  });
}

function regionOf(resource: Resource | undefined): string | undefined {
  const { location } = resource ?? {};
  return typeof location === 'string' ? location : undefined;
}

/** Types that Azure charges nothing for, or only through others. */
const free: ReadonlySet<string> = new Set([
  // Its data are ingested by the workspace, which charges for them.
  'azurerm_application_insights',
  // Within the base fee of the profile.
  'azurerm_cdn_frontdoor_endpoint',
  'azurerm_cdn_frontdoor_firewall_policy',
  'azurerm_cdn_frontdoor_origin_group',
  'azurerm_cdn_frontdoor_route',
  'azurerm_cdn_frontdoor_security_policy',
  'azurerm_cognitive_account',
  'azurerm_consumption_budget_resource_group',
  'azurerm_cosmosdb_sql_database',
  'azurerm_cosmosdb_sql_role_assignment',
  'azurerm_managed_redis_access_policy_assignment',
  // A thousand mails a month are free; alerts do not send that many.
  'azurerm_monitor_action_group',
  // To a workspace of Log Analytics; the workspace charges for what it takes in.
  'azurerm_monitor_diagnostic_setting',
  'azurerm_network_security_group',
  'azurerm_postgresql_flexible_server_database',
  'azurerm_postgresql_flexible_server_firewall_rule',
  'azurerm_private_dns_a_record',
  'azurerm_private_dns_zone_virtual_network_link',
  'azurerm_resource_group',
  'azurerm_role_assignment',
  'azurerm_subnet',
  'azurerm_subnet_network_security_group_association',
  'azurerm_user_assigned_identity',
  'azurerm_virtual_network',
]);

const rules: { readonly [type: string]: Rule } = {
  azurerm_application_insights_standard_web_test(test, { address, region }) {
    const { frequency, geo_locations: places } = test as {
      frequency: number;
      geo_locations: string[];
    };
    return [
      {
        resource: address,
        what: `tests from ${places.length} places`,
        meter: {
          serviceName: 'Azure Monitor',
          skuName: 'Standard Web Test',
          armRegionName: region,
        },
        unit: 'piece',
        kind: 'fixed',
        quantity: (places.length * secondsPerMonth) / frequency,
      },
    ];
  },

  // A private endpoint of an environment is charged as the plan of dedicated machines, though there are none:
  // https://learn.microsoft.com/azure/container-apps/billing
  azurerm_cdn_frontdoor_origin(origin, { address }) {
    const { private_link: link } = origin as {
      private_link?: { location: string; target_type: string };
    };
    if (link === undefined) return [];
    return [
      {
        resource: address,
        what: `private endpoint of the apps in ${link.location}`,
        meter: containerApps('Dedicated', 'Dedicated Plan Management', link.location),
        unit: 'hour',
        kind: 'fixed',
        quantity: hoursPerMonth,
      },
    ];
  },

  azurerm_cdn_frontdoor_profile(profile, { address }) {
    const tier = sizeOf(profile['sku_name'], /^(Premium|Standard)_AzureFrontDoor$/, address);
    // Callers are charged by where they are; of the base fee all zones have the same.
    const of = (name: string): Meter => ({
      serviceName: 'Azure Front Door Service',
      productName: 'Azure Front Door',
      skuName: tier,
      meterName: `${tier} ${name}`,
      armRegionName: 'Zone 1',
    });
    const use = { resource: address, kind: 'use', quantity: 0 } as const;
    return [
      {
        ...use,
        what: 'base fee, with the firewall',
        meter: of('Base Fees'),
        unit: 'month',
        kind: 'fixed',
        quantity: 1,
      },
      { ...use, what: 'calls', meter: of('Requests'), unit: 'piece' },
      { ...use, what: 'what callers send', meter: of('Data Transfer In'), unit: 'GB' },
      { ...use, what: 'what callers get', meter: of('Data Transfer Out'), unit: 'GB' },
    ];
  },

  azurerm_cognitive_deployment(deployment, { address, region, stack }) {
    const {
      cognitive_account_id: reference,
      model,
      sku,
    } = deployment as {
      cognitive_account_id: string;
      model: { name: string };
      sku: { name: string; capacity: number };
    };
    const account = /azurerm_cognitive_account\.([\w-]+)\.id/.exec(reference)?.[1] ?? '';
    const at = regionOf(stack['azurerm_cognitive_account']?.[account]) ?? region;
    const provisioned = {
      ProvisionedManaged: 'Provisioned Managed Regional',
      GlobalProvisionedManaged: 'Provisioned Managed Global',
      DataZoneProvisionedManaged: 'Provisioned Managed Data Zone',
    }[sku.name];
    if (provisioned === undefined) {
      sizeOf(sku.name, /^(Global|DataZone)?Standard$/, address);
      return [
        {
          resource: address,
          what: `tokens of ${model.name}`,
          meter: undefined,
          unit: 'piece',
          kind: 'use',
          quantity: 0,
          // Capacity is in thousands of tokens a minute.
          most: sku.capacity * 1000 * 60 * hoursPerMonth,
        },
      ];
    }
    return [
      {
        resource: address,
        what: `${sku.capacity} provisioned units of ${model.name}`,
        // The name of its service has changed.
        meter: {
          productName: 'Azure OpenAI',
          skuName: provisioned,
          meterName: `${provisioned} Unit`,
          armRegionName: at,
        },
        unit: 'hour',
        kind: 'fixed',
        quantity: sku.capacity * hoursPerMonth,
      },
    ];
  },

  azurerm_container_app(app, { address, region }) {
    const { template } = app as { template: Template };
    sizeOf(app['workload_profile_name'], /^Consumption$/, address);
    const { min_replicas: least, max_replicas: most } = template;
    const of = (name: string) => containerApps('Standard', `Standard ${name}`, region);
    const has = sum(template);
    const idle = { resource: address, kind: 'idle' } as const;
    const use = { resource: address, kind: 'use', quantity: 0 } as const;
    const waiting =
      least === 0
        ? []
        : ([
            {
              ...idle,
              what: `cores of ${replicas(least)}, waiting`,
              meter: of('vCPU Idle Usage'),
              unit: 'core second',
              quantity: least * has.cores * secondsPerMonth,
            },
            {
              ...idle,
              what: `memory of ${replicas(least)}, waiting`,
              meter: of('Memory Idle Usage'),
              unit: 'GiB second',
              quantity: least * has.gibibytes * secondsPerMonth,
            },
          ] as const);
    return [
      ...waiting,
      {
        ...use,
        what: `cores of up to ${replicas(most)}, working`,
        meter: of('vCPU Active Usage'),
        unit: 'core second',
        most: most * has.cores * secondsPerMonth,
      },
      {
        ...use,
        what: `memory of up to ${replicas(most)}, working`,
        meter: of('Memory Active Usage'),
        unit: 'GiB second',
        most: most * has.gibibytes * secondsPerMonth,
      },
      { ...use, what: 'calls', meter: of('Requests'), unit: 'piece' },
    ];
  },

  // In a network of one's own Azure makes addresses and a load balancer beside it:
  // https://learn.microsoft.com/azure/container-apps/custom-virtual-networks#managed-resources
  azurerm_container_app_environment(environment, { address, region }) {
    const profiles = environment['workload_profile'] as { workload_profile_type: string }[];
    for (const { workload_profile_type: type } of profiles) sizeOf(type, /^Consumption$/, address);
    if (environment['infrastructure_subnet_id'] === undefined) return [];
    const addresses = environment['internal_load_balancer_enabled'] === true ? 1 : 2;
    const fixed = { resource: address, kind: 'fixed', unit: 'hour' } as const;
    return [
      {
        ...fixed,
        what: addresses === 1 ? 'one public address' : `${addresses} public addresses`,
        meter: {
          serviceName: 'Virtual Network',
          productName: 'IP Addresses',
          skuName: 'Standard',
          meterName: 'Standard IPv4 Static Public IP',
          armRegionName: region,
        },
        quantity: addresses * hoursPerMonth,
      },
      {
        ...fixed,
        what: 'load balancer',
        meter: {
          serviceName: 'Load Balancer',
          productName: 'Load Balancer',
          skuName: 'Standard',
          meterName: 'Standard Included LB Rules and Outbound Rules',
          armRegionName: region,
        },
        quantity: hoursPerMonth,
      },
    ];
  },

  azurerm_container_app_job(job, { address, region }) {
    const { template } = job as { template: Template };
    sizeOf(job['workload_profile_name'], /^Consumption$/, address);
    const { cores, gibibytes } = sum(template);
    const use = { resource: address, kind: 'use', quantity: 0 } as const;
    return [
      {
        ...use,
        what: `${cores} cores, while it runs`,
        meter: containerApps('Standard', 'Standard vCPU Active Usage', region),
        unit: 'core second',
      },
      {
        ...use,
        what: `${gibibytes} GiB, while it runs`,
        meter: containerApps('Standard', 'Standard Memory Active Usage', region),
        unit: 'GiB second',
      },
    ];
  },

  azurerm_cosmosdb_account(account, { address, region }) {
    const {
      capabilities = [],
      backup,
      geo_location: places,
    } = account as {
      capabilities?: { name: string }[];
      backup: { tier: string };
      geo_location: unknown[];
    };
    if (places.length > 1) throw new Error(`${address}: more regions than one are not counted`);
    const isServerless = capabilities.some(({ name }) => name === 'EnableServerless');
    const use = { resource: address, kind: 'use', quantity: 0 } as const;
    const serviceName = 'Azure Cosmos DB';
    const at = { serviceName, armRegionName: region };
    const stored = { ...at, productName: serviceName, skuName: 'RUs', meterName: 'Data Stored' };
    const requests = {
      ...at,
      productName: 'Azure Cosmos DB serverless',
      skuName: 'RUs',
      meterName: '1M RUs',
    };
    const past = {
      ...at,
      productName: 'Azure Cosmos DB - PITR',
      meterNameEnd: 'Continuous Backup',
    };
    return [
      ...(isServerless
        ? [{ ...use, what: 'request units', meter: requests, unit: 'piece' } as const]
        : []),
      { ...use, what: 'data', meter: stored, unit: 'GB month' },
      // Seven days are within the price of the account.
      ...(backup.tier === 'Continuous30Days'
        ? [{ ...use, what: 'thirty days of backup', meter: past, unit: 'GB month' } as const]
        : []),
    ];
  },

  azurerm_cosmosdb_sql_container(container, { address, region }) {
    const { autoscale_settings: scaling } = container as {
      autoscale_settings?: { max_throughput: number };
    };
    if (scaling === undefined) return [];
    const hundreds = scaling.max_throughput / 100;
    const meter: Meter = {
      serviceName: 'Azure Cosmos DB',
      productName: 'Azure Cosmos DB autoscale',
      skuName: 'AP1',
      meterNameEnd: '100 RUs',
      armRegionName: region,
    };
    return [
      {
        resource: address,
        // A tenth is the least that is charged:
        // https://learn.microsoft.com/azure/cosmos-db/provision-throughput-autoscale
        what: `a tenth of ${scaling.max_throughput} request units a second, by 100`,
        meter,
        unit: 'hour',
        kind: 'fixed',
        quantity: (hundreds / 10) * hoursPerMonth,
      },
      {
        resource: address,
        what: 'the rest of them, by 100',
        meter,
        unit: 'hour',
        kind: 'use',
        quantity: 0,
        most: (hundreds - hundreds / 10) * hoursPerMonth,
      },
    ];
  },

  azurerm_key_vault(vault, { address, region }) {
    sizeOf(vault['sku_name'], /^standard$/, address);
    return [
      {
        resource: address,
        what: 'secrets read',
        meter: {
          serviceName: 'Key Vault',
          productName: 'Key Vault',
          skuName: 'Standard',
          meterName: 'Operations',
          armRegionName: region,
        },
        unit: 'piece',
        kind: 'use',
        quantity: 0,
      },
    ];
  },

  azurerm_log_analytics_workspace(workspace, { address, region }) {
    const { daily_quota_gb: daily, retention_in_days: days } = workspace as {
      daily_quota_gb: number;
      retention_in_days: number;
    };
    sizeOf(workspace['sku'], /^PerGB2018$/, address);
    const of = (name: string): Meter => ({
      serviceName: 'Log Analytics',
      productName: 'Log Analytics',
      skuName: 'Analytics Logs',
      meterName: `Analytics Logs ${name}`,
      armRegionName: region,
    });
    const use = { resource: address, kind: 'use', quantity: 0 } as const;
    // The first 31 days are within the price of what is taken in:
    // https://learn.microsoft.com/azure/azure-monitor/logs/data-retention-configure
    const longer = Math.max(0, days - 31);
    return [
      {
        ...use,
        what: 'log lines taken in',
        meter: of('Data Ingestion'),
        unit: 'GB',
        most: daily * daysPerMonth,
      },
      ...(longer > 0
        ? [
            {
              ...use,
              what: `log lines kept ${longer} days longer`,
              meter: of('Data Retention'),
              unit: 'GB month',
              most: daily * longer,
            } as const,
          ]
        : []),
    ];
  },

  azurerm_managed_redis(redis, { address, region }) {
    const size = /^(Balanced|ComputeOptimized|MemoryOptimized|FlashOptimized)_(\w+)$/.exec(
      String(redis['sku_name']),
    );
    if (size === null)
      throw new Error(`${address}: nothing says what ${String(redis['sku_name'])} costs`);
    const [, family = '', name = ''] = size;
    // The price is of one node; with high availability there are two.
    const nodes = redis['high_availability_enabled'] === false ? 1 : 2;
    return [
      {
        resource: address,
        what: `${nodes === 1 ? 'one node' : `${nodes} nodes`} of ${name}`,
        meter: {
          serviceName: 'Redis Cache',
          productName: `Azure Managed Redis - ${family.replace('Optimized', ' Optimized')}`,
          skuName: name,
          meterName: `${name} Cache Instance`,
          armRegionName: region,
        },
        unit: 'hour',
        kind: 'fixed',
        quantity: nodes * hoursPerMonth,
      },
    ];
  },

  azurerm_monitor_metric_alert(_alert, { address, region }) {
    return [
      {
        resource: address,
        // One series: each alert here names its resource, and one value of a dimension where it has one.
        what: 'metric watched',
        meter: {
          serviceName: 'Azure Monitor',
          skuName: 'Alerts',
          meterName: 'Alerts Metric Monitored',
          armRegionName: region,
        },
        unit: 'month',
        kind: 'fixed',
        quantity: 1,
      },
    ];
  },

  azurerm_monitor_scheduled_query_rules_alert_v2(alert, { address, region }) {
    const minutes = sizeOf(alert['evaluation_frequency'], /^PT(1|5|10|15)M$/, address);
    return [
      {
        resource: address,
        what: `log lines asked every ${minutes} minutes`,
        meter: {
          serviceName: 'Azure Monitor',
          meterName: `Alerts System Log Monitored at ${minutes} Minute Frequency`,
          armRegionName: region,
        },
        unit: 'month',
        kind: 'fixed',
        quantity: 1,
      },
    ];
  },

  azurerm_postgresql_flexible_server(server, { address, region }) {
    const gigabytes = Number(server['storage_mb']) / 1024;
    // A standby is a second server with a second disk.
    const servers = server['high_availability'] === undefined ? 1 : 2;
    const count = servers === 1 ? 'one server' : `${servers} servers`;
    const at = { serviceName: 'Azure Database for PostgreSQL', armRegionName: region };
    const copies = server['geo_redundant_backup_enabled'] === true ? 'GRS' : 'LRS';
    return [
      {
        resource: address,
        what: `${count} of ${String(server['sku_name'])}`,
        meter: { ...at, ...computeOf(String(server['sku_name']), address) },
        unit: 'hour',
        kind: 'fixed',
        quantity: servers * hoursPerMonth,
      },
      {
        resource: address,
        what: `${gigabytes} GB of disk of ${count}`,
        meter: {
          ...at,
          productName: [
            'Azure Database for PostgreSQL Flex Server Storage',
            'Az DB for PostgreSQL Flexible Server Storage',
          ],
          meterName: 'Storage Data Stored',
        },
        unit: 'GB month',
        kind: 'fixed',
        quantity: servers * gigabytes,
      },
      {
        resource: address,
        what: `backups beyond the first ${gigabytes} GB`,
        meter: {
          ...at,
          productName: 'Azure Database for PostgreSQL Flexible Server Backup Storage',
          meterName: `Backup Storage ${copies} Data Stored`,
        },
        unit: 'GB month',
        kind: 'use',
        quantity: 0,
      },
    ];
  },

  azurerm_private_dns_zone(_zone, { address }) {
    const of = (name: string): Meter => ({
      serviceName: 'Azure DNS',
      productName: 'Azure DNS',
      skuName: 'Private',
      meterName: `Private ${name}`,
      armRegionName: 'Zone 1',
    });
    return [
      {
        resource: address,
        what: 'zone',
        meter: of('Zone'),
        unit: 'month',
        kind: 'fixed',
        quantity: 1,
      },
      {
        resource: address,
        what: 'names asked for',
        meter: of('Queries'),
        unit: 'piece',
        kind: 'use',
        quantity: 0,
      },
    ];
  },

  azurerm_private_endpoint(_endpoint, { address, region }) {
    const of = (end: string): Meter => ({
      serviceName: 'Virtual Network',
      productName: 'Virtual Network Private Link',
      meterNameEnd: end,
      armRegionName: region,
    });
    const use = { resource: address, kind: 'use', unit: 'GB', quantity: 0 } as const;
    return [
      {
        resource: address,
        what: 'endpoint',
        meter: of('Private Endpoint'),
        unit: 'hour',
        kind: 'fixed',
        quantity: hoursPerMonth,
      },
      { ...use, what: 'what goes in', meter: of('Data Processed - Ingress') },
      { ...use, what: 'what comes out', meter: of('Data Processed - Egress') },
    ];
  },
};

type Template = {
  readonly container: readonly { readonly cpu: number; readonly memory: string }[];
  readonly min_replicas: number;
  readonly max_replicas: number;
};

/** Cores and GiB of one replica. */
function sum({ container }: Template): { cores: number; gibibytes: number } {
  return {
    cores: container.reduce((all, { cpu }) => all + cpu, 0),
    gibibytes: container.reduce((all, { memory }) => all + Number.parseFloat(memory), 0),
  };
}

function replicas(count: number): string {
  return count === 1 ? 'one replica' : `${count} replicas`;
}

function containerApps(skuName: string, meterName: string, armRegionName: string): Meter {
  const serviceName = 'Azure Container Apps';
  return { serviceName, productName: serviceName, skuName, meterName, armRegionName };
}

/** Meter of a server of PostgreSQL by its size: `B_Standard_B1ms`, `GP_Standard_D2ds_v5`. */
function computeOf(
  size: string,
  address: string,
): Pick<Meter, 'productName' | 'skuName' | 'meterName'> {
  const product = 'Azure Database for PostgreSQL Flexible Server';
  const burstable = /^B_Standard_(\w+)$/.exec(size)?.[1]?.toUpperCase();
  if (burstable !== undefined)
    return {
      productName: `${product} Burstable BS Series Compute`,
      skuName: burstable,
      meterName: burstable,
    };
  const [, tier = '', letter = '', cores = '', more = '', version = ''] =
    /^(GP|MO)_Standard_([A-Z])(\d+)([a-z]+)_v(\d)$/.exec(size) ?? [];
  const tiers: { readonly [tier: string]: string } = {
    GP: 'General Purpose',
    MO: 'Memory Optimized',
  };
  if (tiers[tier] === undefined) throw new Error(`${address}: nothing says what ${size} costs`);
  return {
    productName: `${product} ${tiers[tier]} ${letter}${more}v${version} Series Compute`,
    skuName: `${cores} vCore`,
    meterName: 'vCore',
  };
}

/**
 * The part of a size that the price depends on.
 *
 * @throws {Error} for a size of which nothing is known here
 */
function sizeOf(size: unknown, known: RegExp, address: string): string {
  const match = known.exec(String(size));
  if (match === null) throw new Error(`${address}: nothing says what ${String(size)} costs`);
  return match[1] ?? match[0];
}
