/**
 * Azure regions by where data stays when it is processed in them.
 *
 * `eu` and `us` are Azure's data zones for model deployments (member states of the European Union; the commercial regions
 * of the United States). Other regions stand for their country.
 */
const regionsByResidency: { readonly [residency: string]: readonly string[] } = {
  eu: [
    'austriaeast',
    'belgiumcentral',
    'denmarkeast',
    'finlandcentral',
    'francecentral',
    'francesouth',
    'germanynorth',
    'germanywestcentral',
    'greececentral',
    'italynorth',
    'northeurope',
    'polandcentral',
    'spaincentral',
    'swedencentral',
    'swedensouth',
    'westeurope',
  ],
  us: [
    'centralus',
    'eastus',
    'eastus2',
    'eastus3',
    'northcentralus',
    'southcentralus',
    'southeastus',
    'westcentralus',
    'westus',
    'westus2',
    'westus3',
  ],
  'us-gov': ['usgovarizona', 'usgovtexas', 'usgovvirginia', 'usdodcentral', 'usdodeast'],
  ae: ['uaecentral', 'uaenorth'],
  au: ['australiacentral', 'australiacentral2', 'australiaeast', 'australiasoutheast'],
  br: ['brazilsouth', 'brazilsoutheast'],
  ca: ['canadacentral', 'canadaeast'],
  ch: ['switzerlandnorth', 'switzerlandwest'],
  cl: ['chilecentral'],
  cn: ['chinaeast', 'chinaeast2', 'chinaeast3', 'chinanorth', 'chinanorth2', 'chinanorth3'],
  hk: ['eastasia'],
  id: ['indonesiacentral'],
  il: ['israelcentral'],
  in: ['centralindia', 'jioindiacentral', 'jioindiawest', 'southindia', 'westindia'],
  jp: ['japaneast', 'japanwest'],
  kr: ['koreacentral', 'koreasouth'],
  mx: ['mexicocentral'],
  my: ['malaysiawest'],
  no: ['norwayeast', 'norwaywest'],
  nz: ['newzealandnorth'],
  qa: ['qatarcentral'],
  sg: ['southeastasia'],
  tw: ['taiwannorth'],
  uk: ['uksouth', 'ukwest'],
  za: ['southafricanorth', 'southafricawest'],
};

const residencyByRegion: ReadonlyMap<string, string> = new Map(
  Object.entries(regionsByResidency).flatMap(([residency, regions]) => [
    [residency, residency],
    ...regions.map((region): [string, string] => [region, residency]),
  ]),
);

/** Every name {@link residencyOf} knows, for suggestions. */
export const knownRegions: readonly string[] = [...residencyByRegion.keys()];

/** A region as Azure's APIs write it: `Sweden Central` and `sweden-central` become `swedencentral`; `us-gov` stays. */
export function normaliseRegion(name: string): string {
  const lower = name.trim().toLowerCase();
  return residencyByRegion.has(lower) ? lower : lower.replace(/[\s_-]+/g, '');
}

/** Where data stays in a region (or in a zone given in its place); undefined for a region not known here. */
export function residencyOf(region: string): string | undefined {
  return residencyByRegion.get(normaliseRegion(region));
}
