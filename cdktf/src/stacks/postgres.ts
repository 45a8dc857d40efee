import { PostgresqlFlexibleServer } from '@cdktn/provider-azurerm/lib/postgresql-flexible-server/index.js';
import { PostgresqlFlexibleServerDatabase } from '@cdktn/provider-azurerm/lib/postgresql-flexible-server-database/index.js';
import { PostgresqlFlexibleServerFirewallRule } from '@cdktn/provider-azurerm/lib/postgresql-flexible-server-firewall-rule/index.js';
import { TerraformVariable } from '../cdk.ts';
import type { Network } from './network.ts';
import type { Site } from './site.ts';
import { databaseName, type Store } from './store-type.ts';

type Settings = Extract<Site['configuration']['store'], { kind: 'postgres' }>;

/** A PostgreSQL server. The gateway signs in with a password: its driver takes no tokens of Entra. */
export function createPostgres(
  { stack, base, name, configuration }: Site,
  settings: Settings,
  network: Network | undefined,
): Store {
  const password = new TerraformVariable(stack, 'postgres_password', {
    type: 'string',
    // Without a default, which would be a password that everybody knows. While the version is the same it does not reach Azure.
    description:
      'Password of the administrator of PostgreSQL: the one in the secret database-url when the server is made or the version raised, else any that is as strong',
    sensitive: true,
  });
  // It goes to Azure without being kept in the state or in a plan.
  password.addOverride('ephemeral', true);
  const version = new TerraformVariable(stack, 'postgres_password_version', {
    type: 'number',
    description: 'Raised by one when the password changes',
    default: 1,
  });
  const server = new PostgresqlFlexibleServer(stack, 'postgres', {
    ...base,
    name: name('psql'),
    version: '17',
    skuName: settings.sku,
    storageMb: settings.storageGb * 1024,
    autoGrowEnabled: true,
    backupRetentionDays: configuration.isProtected ? 35 : 7,
    geoRedundantBackupEnabled: configuration.isProtected,
    publicNetworkAccessEnabled: network === undefined,
    administratorLogin: 'aigateway',
    administratorPasswordWo: password.stringValue,
    administratorPasswordWoVersion: version.numberValue,
    authentication: { passwordAuthEnabled: true, activeDirectoryAuthEnabled: false },
    ...(settings.isHighlyAvailable && { highAvailability: { mode: 'ZoneRedundant' } }),
    // Azure chooses zones and, after a failover, exchanges them; the disk grows by itself, and cannot shrink.
    lifecycle: {
      preventDestroy: configuration.isProtected,
      ignoreChanges: ['storage_mb', 'zone', 'high_availability[0].standby_availability_zone'],
    },
  });
  new PostgresqlFlexibleServerDatabase(stack, 'postgres-database', {
    name: databaseName,
    serverId: server.id,
    charset: 'UTF8',
    collation: 'en_US.utf8',
    lifecycle: { preventDestroy: configuration.isProtected },
  });
  if (network === undefined) {
    // This address stands for "whatever runs in Azure", the apps among it: without a network they have no address of their own.
    new PostgresqlFlexibleServerFirewallRule(stack, 'postgres-from-azure', {
      name: 'azure',
      serverId: server.id,
      startIpAddress: '0.0.0.0',
      endIpAddress: '0.0.0.0',
    });
  }
  network?.connect({ id: 'postgres', resourceId: server.id, kind: 'postgres' });
  return {
    variables: { DATABASE_URL: { secret: 'database-url' } },
    watched: { id: server.id, kind: 'postgres' },
  };
}
