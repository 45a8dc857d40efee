import type { Settings } from '@aigateway/contract/changeable-settings';
import { optional } from '@aigateway/contract/optional';
import type { JsonObject } from '@aigateway/contract/records';
import { mapTexts } from '@aigateway/contract/sealed-secrets';
import type { Sealer } from '@aigateway/contract/sealer';
import type { Catalogue } from '@aigateway/contract/snapshot';
import { hasForeignReference } from '@aigateway/control-plane/models/secrets';
import { limitsBy } from '@aigateway/control-plane/publish/compile-holder';
import type { Entities } from '@aigateway/control-plane/store/entities';
import type { Configuration } from './configuration.ts';

/**
 * The configuration's records but its keys, with the models, credentials and settings that the store holds besides. An entry of the store
 * that refers to the environment is left out: what the API takes must never name what the process knows.
 *
 * @param onProblem - told of what of the store cannot be used
 */
export async function catalogueOf(
  configuration: Configuration,
  entities: Entities,
  sealer: Sealer,
  onProblem: (message: string) => void,
): Promise<Catalogue> {
  const vaults = configuration.compiled.server.apiKeyVaults;
  const models: JsonObject[] = [];
  for await (const { document } of entities.all('model')) {
    const params = unsealed(document.litellm_params, sealer);
    const info: JsonObject = {
      ...document.model_info,
      id: document.model_id,
      blocked: document.blocked,
      db_model: true,
    };
    if (hasForeignReference(params, vaults) || hasForeignReference(info, []))
      onProblem(`model ${document.model_id} refers to what only the file may`);
    else if (typeof info['team_id'] === 'string')
      onProblem(`model ${document.model_id} is for one team, and would be open to every team`);
    else models.push({ model_name: document.model_name, litellm_params: params, model_info: info });
  }
  const credentials: JsonObject[] = [];
  for await (const { document } of entities.all('credential')) {
    const values = unsealed(document.credential_values, sealer);
    if (hasForeignReference(values, vaults))
      onProblem(`credential ${document.credential_name} refers to what only the file may`);
    else credentials.push({ credential_name: document.credential_name, credential_values: values });
  }
  const sections: [string, JsonObject][] = [];
  for await (const { document } of entities.all('settings')) {
    if (hasForeignReference(document.values, []))
      onProblem(`${document.section} refers to what only the file may`);
    else sections.push([document.section, document.values]);
  }
  const settings: Settings = Object.fromEntries(sections);
  const hasMore = models.length + credentials.length + sections.length > 0;
  const { records, problems } = hasMore
    ? configuration.compileWith({ models, credentials, settings })
    : configuration.compiled;
  for (const { path, message } of problems) onProblem(`${path.join('.')}: ${message}`);
  const {
    keys: _keys,
    holders: _holders,
    schemaVersion: _version,
    revision: _revision,
    ...catalogue
  } = records;
  const { customerBudgetId } = configuration.compiled.management;
  if (customerBudgetId === undefined) return catalogue;
  const [budget] = await entities.getMany('budget', [customerBudgetId]);
  if (budget === undefined) {
    onProblem(`budget ${customerBudgetId} of max_end_user_budget_id does not exist`);
    return catalogue;
  }
  const { limits, modelLimits } = limitsBy(budget.document);
  return {
    ...catalogue,
    settings: {
      ...catalogue.settings,
      ...optional('customerLimits', limits),
      ...optional('customerModelLimits', modelLimits),
    },
  };
}

/** What cannot be opened stays as it is: an upstream refuses it, and its deployment says so. */
function unsealed(value: JsonObject, sealer: Sealer): JsonObject {
  return mapTexts(value, (text) =>
    sealer.isSealed(text) ? (sealer.unseal(text) ?? text) : text,
  ) as JsonObject;
}
