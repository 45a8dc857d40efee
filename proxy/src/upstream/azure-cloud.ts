/** What signing in to one of Azure's clouds takes. */
export type AzureCloud = {
  /** Where tokens are issued. */
  authorityHost: string;
  /** What a token must be for to be taken by Cognitive Services there. */
  scope: string;
};

const publicCloud: AzureCloud = {
  authorityHost: 'https://login.microsoftonline.com',
  scope: 'https://cognitiveservices.azure.com/.default',
};

const sovereignClouds: readonly (AzureCloud & { suffix: string })[] = [
  {
    suffix: '.azure.us',
    authorityHost: 'https://login.microsoftonline.us',
    scope: 'https://cognitiveservices.azure.us/.default',
  },
  {
    suffix: '.azure.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
    scope: 'https://cognitiveservices.azure.cn/.default',
  },
];

/** The cloud that a resource lies in, told by its host; anything unknown is taken for the public one. */
export function azureCloudOf(origin: string): AzureCloud {
  const { hostname } = new URL(origin);
  return sovereignClouds.find(({ suffix }) => hostname.endsWith(suffix)) ?? publicCloud;
}

const vaultClouds: readonly (AzureCloud & { suffix: string })[] = [
  {
    suffix: '.vault.usgovcloudapi.net',
    authorityHost: 'https://login.microsoftonline.us',
    scope: 'https://vault.usgovcloudapi.net/.default',
  },
  {
    suffix: '.vault.azure.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
    scope: 'https://vault.azure.cn/.default',
  },
];

/** The same for Key Vaults: what their tokens are for, and who issues them. */
export function vaultCloudOf(vault: string): AzureCloud {
  const { hostname } = new URL(vault);
  return (
    vaultClouds.find(({ suffix }) => hostname.endsWith(suffix)) ?? {
      authorityHost: publicCloud.authorityHost,
      scope: 'https://vault.azure.net/.default',
    }
  );
}

/** Whether an authority belongs to Microsoft: only then can it be looked up among the known ones. */
export function isKnownAuthority(authorityHost: string): boolean {
  const { hostname } = new URL(authorityHost);
  return [publicCloud, ...sovereignClouds].some(
    (cloud) => new URL(cloud.authorityHost).hostname === hostname,
  );
}
