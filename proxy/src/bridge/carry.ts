import type { JsonObject, JsonValue, Operation } from '@aigateway/contract/records';
import { GatewayError } from '../errors.ts';
import type { Parameter, ParameterTable } from './parameter-tables.ts';

/** The 400 for what a bridge cannot carry. `param` and `reason` are shown to the caller. */
export function unsupported(operation: Operation, param: string, reason: string): GatewayError {
  return new GatewayError('bridge_unsupported', { values: { operation, param, reason }, param });
}

function asksForNothing(value: JsonValue, parameter: Parameter): boolean {
  if (value === null) return true;
  const text = JSON.stringify(value);
  return parameter.neutral?.some((neutral) => JSON.stringify(neutral) === text) ?? false;
}

/**
 * The first half of a bridged request: every parameter that goes on as it stands. Those to translate are left to the caller.
 *
 * Fields that neither operation documents go on, as vendors' fields do. Fields that only the upstream's operation documents
 * do not: the checks that guard them, of stored responses for one, belong to that operation's own route.
 *
 * @param table - the fate of the caller's parameters
 * @param foreign - the parameters of the upstream's operation
 * @param dropped - receives the names that are left out
 * @throws GatewayError `bridge_unsupported` for a parameter that is to be refused
 */
export function carry(
  body: JsonObject,
  table: ParameterTable,
  foreign: ParameterTable,
  to: Operation,
  dropped: Set<string>,
): JsonObject {
  const entries = Object.entries(body).filter(([name, value]) => {
    if (!Object.hasOwn(table, name)) {
      const isForeign = Object.hasOwn(foreign, name);
      if (isForeign) dropped.add(name);
      return !isForeign;
    }
    const parameter = table[name]!;
    if (parameter.fate === 'carried') return true;
    if (parameter.fate === 'translated' || asksForNothing(value, parameter)) return false;
    if (parameter.fate === 'refused') throw unsupported(to, name, parameter.note);
    dropped.add(name);
    return false;
  });
  return Object.fromEntries(entries);
}
