import type { Clock } from './clock.ts';
import type { DeploymentConfig, ResolvedConfig, ResourceConfig } from './config.ts';
import { keyDomain } from './key-domain.ts';
import type { KeyDomain } from './key-domain.ts';
import { findModel } from './models.ts';
import type { Model, ModelOperation } from './models.ts';
import { createPromptCache } from './prompt-cache.ts';
import type { PromptCache } from './prompt-cache.ts';
import { provisionedQuota, standardQuota } from './quota.ts';
import type { Quota } from './quota.ts';
import { createResponseStore } from './response-store.ts';
import type { ResponseStore } from './response-store.ts';

/** A deployment at work: its configuration, model, limits and memory. */
export type Deployment = {
  name: string;
  config: DeploymentConfig;
  model: Model;
  /** Model and version as bodies name it. */
  modelVersion: string;
  operations: readonly ModelOperation[];
  contextWindow: number;
  quota: Quota;
  promptCache: PromptCache;
};

/** A resource at work. Nothing in it is shared with another resource but a key domain of the same name. */
export type Resource = {
  name: string;
  config: ResourceConfig;
  deployments: ReadonlyMap<string, Deployment>;
  keyDomain: KeyDomain;
  responses: ResponseStore;
};

/** Builds the resources of a configuration, all of them empty. */
export function createResources(config: ResolvedConfig, clock: Clock): Map<string, Resource> {
  return new Map(
    config.resources.map((resource) => [
      resource.name,
      {
        name: resource.name,
        config: resource,
        deployments: new Map(
          resource.deployments.map((deployment) => [
            // Azure compares deployment names without regard to case.
            deployment.name.toLowerCase(),
            createDeployment(deployment, clock),
          ]),
        ),
        keyDomain: keyDomain(resource.encryptionDomain ?? resource.name),
        responses: createResponseStore(clock, config.itemVisibilityDelayMs),
      },
    ]),
  );
}

/** The deployment of that name, or undefined. */
export function findDeployment(resource: Resource, name: string): Deployment | undefined {
  return resource.deployments.get(name.toLowerCase());
}

function createDeployment(config: DeploymentConfig, clock: Clock): Deployment {
  const model = findModel(config.model);
  if (model === undefined) throw new Error(`unknown model ${config.model}`);
  const version = config.version ?? model.version;
  return {
    name: config.name,
    config,
    model,
    modelVersion:
      model.answersAs ?? (model.dimensions === undefined ? `${model.name}-${version}` : model.name),
    operations: config.operations ?? model.operations,
    contextWindow: config.contextWindow ?? model.contextWindow,
    quota:
      config.provisioned === undefined
        ? standardQuota(config.quota, clock)
        : provisionedQuota(config.provisioned, model, clock),
    promptCache: createPromptCache(),
  };
}

const AZURE_HOST =
  /^([a-z0-9-]+)\.(?:openai\.azure\.(?:com|us|cn)|cognitiveservices\.azure\.(?:com|us|cn)|services\.ai\.azure\.com|localhost)$/;
const REGIONAL_HOST = /^([a-z0-9-]+)\.api\.cognitive\.microsoft\.com$/;

/** Where a request goes, or why it goes nowhere. */
export type Destination =
  | { resource: Resource; /** Path without the resource prefix. */ path: string; regional: boolean }
  | { unknown: 'subdomain' };

/**
 * Finds the resource of a request: a known name as first path segment, else the host name, else the first resource.
 * A host below one of Azure's domains that names no resource goes nowhere.
 */
export function findResource(
  resources: ReadonlyMap<string, Resource>,
  host: string,
  path: string,
): Destination {
  const slash = path.indexOf('/', 1);
  const prefixed = resources.get(slash < 0 ? path.slice(1) : path.slice(1, slash));
  if (prefixed !== undefined && slash > 0) {
    return { resource: prefixed, path: path.slice(slash), regional: false };
  }
  const hostname = host.replace(/:\d+$/, '').toLowerCase();
  for (const resource of resources.values()) {
    if (resource.config.hosts.includes(hostname)) return { resource, path, regional: false };
  }
  const region = REGIONAL_HOST.exec(hostname)?.[1];
  const subdomain = AZURE_HOST.exec(hostname)?.[1];
  const all = [...resources.values()];
  const found =
    region === undefined
      ? subdomain === undefined
        ? all[0]
        : resources.get(subdomain)
      : all.find((resource) => resource.config.region === region);
  return found === undefined
    ? { unknown: 'subdomain' }
    : { resource: found, path, regional: region !== undefined };
}

/** Region ids in the form people read, for headers and texts; others are shown as they are. */
export function regionName(id: string): string {
  const known: Record<string, string> = {
    eastus: 'East US',
    eastus2: 'East US 2',
    westus: 'West US',
    westus3: 'West US 3',
    northcentralus: 'North Central US',
    southcentralus: 'South Central US',
    swedencentral: 'Sweden Central',
    westeurope: 'West Europe',
    northeurope: 'North Europe',
    francecentral: 'France Central',
    germanywestcentral: 'Germany West Central',
    switzerlandnorth: 'Switzerland North',
    uksouth: 'UK South',
    japaneast: 'Japan East',
    australiaeast: 'Australia East',
    canadaeast: 'Canada East',
  };
  return known[id] ?? id;
}
