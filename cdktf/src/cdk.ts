/** All that is used of the Terraform CDK. The same names are in `cdktf`, so that this file alone says which of the two it is. */
export { App, AzurermBackend, TerraformOutput, TerraformStack, TerraformVariable } from 'cdktn';
export type { ITerraformDependable } from 'cdktn';
