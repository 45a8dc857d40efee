import type { JsonObject } from '@aigateway/contract/records';
import type { ParameterTable } from './parameter-tables.ts';

/**
 * The parameter of the caller's own request that an upstream's error is about.
 *
 * @param param - as the error names it: a path in the upstream's request, such as `text.format.schema`
 * @param tables - the way of the parameters, the upstream's side first
 * @returns `param` itself where the caller's request has it under that name; else the name alone, since what is below it is built otherwise
 */
export function callersParameter(
  param: string,
  tables: readonly ParameterTable[],
  request: JsonObject,
): string {
  let name = param;
  for (const table of tables) {
    const sources = Object.keys(table).filter((source) =>
      table[source]?.upstream?.some((path) => isWithin(name, path)),
    );
    const sent = sources.find((source) => isSent(request[source]));
    if (sent !== undefined) name = sent;
    else if (!Object.hasOwn(table, rootOf(name))) name = sources[0] ?? name;
  }
  return name;
}

function isSent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function isWithin(param: string, path: string): boolean {
  return param.startsWith(path) && ['', '.', '['].includes(param.charAt(path.length));
}

function rootOf(param: string): string {
  return /^[^.[]*/.exec(param)?.[0] ?? param;
}
