/** The part of a name that stands for an Azure region; a region that is missing here gets `locationCode` in its configuration. */
export const regionCodes: { readonly [region: string]: string } = {
  australiaeast: 'aue',
  brazilsouth: 'brs',
  canadacentral: 'cac',
  canadaeast: 'cae',
  centralindia: 'inc',
  centralus: 'usc',
  eastus: 'eus',
  eastus2: 'eus2',
  francecentral: 'frc',
  germanywestcentral: 'gwc',
  italynorth: 'itn',
  japaneast: 'jpe',
  koreacentral: 'krc',
  northcentralus: 'ncus',
  northeurope: 'neu',
  norwayeast: 'noe',
  polandcentral: 'plc',
  southafricanorth: 'san',
  southafricawest: 'saw',
  southcentralus: 'scus',
  southeastasia: 'sea',
  southindia: 'ins',
  spaincentral: 'spc',
  swedencentral: 'swc',
  switzerlandnorth: 'chn',
  uaenorth: 'uan',
  uksouth: 'uks',
  westeurope: 'weu',
  westus: 'wus',
  westus3: 'wus3',
};

/**
 * Code of a region in names.
 *
 * @throws {RangeError} for a region that is not known here
 */
export function codeOf(region: string): string {
  const code = regionCodes[region];
  if (code === undefined)
    throw new RangeError(`no code is known for the region ${region}: add it to regions.ts`);
  return code;
}
