import type { JsonValue } from '@aigateway/contract/records';
import type { UpstreamError } from './error-body.ts';

/** What an upstream says it does not take. `param` is a path into the request, as the upstream wrote it. */
export type RefusedParameter =
  | {
      readonly what: 'parameter';
      readonly param: string;
      /** False for one that the upstream knows but this model does not take. */
      readonly isUnknown: boolean;
      /** The parameter that should be used in its place. */
      readonly replacement?: string;
    }
  | {
      readonly what: 'value';
      readonly param: string;
      /** The value that was refused. Absent where only the default is taken, whatever else is sent. */
      readonly value?: string | boolean;
      readonly default?: JsonValue;
    };

/** `temperature` or `messages[0].cache_control`; anything else is not taken for a path. */
const paramName = /^[A-Za-z_][\w.[\]-]{0,127}$/;

/**
 * Reads an error of status 400 or 422 for the parameter it complains of.
 *
 * Upstreams quote a caller's values in their refusals, so only the beginning of a text is the upstream's own, beside its `code`
 * and `param`: what is learned from it is believed of the deployment for everyone.
 *
 * @returns undefined when it is about something else, or about a value for which no other can be told
 */
export function readRefusedParameter(error: UpstreamError): RefusedParameter | undefined {
  const refused = findRefused(error);
  return refused !== undefined && paramName.test(refused.param) ? refused : undefined;
}

const knownParameter = /^unsupported parameter:\s{0,3}'([^']{1,128})'/i;
const unknownParameter =
  /^(?:unknown parameter:\s{0,3}|[[{]{0,2}'type': 'extra_forbidden', 'loc': \('body', )'([^']{1,128})'/i;
const unrecognizedArgument = /^unrecognized request arguments? supplied:\s{0,3}([\w.[\]-]{1,128})/i;
const additionalProperty =
  /^additional properties are not allowed \('([^']{1,128})' was unexpected\)(?: - '([^']{1,256})')?/i;
const unsupportedValue = /^unsupported value:\s{0,3}'([^']{1,128})'/i;
const suggestion = /\buse '(\w{1,128})' instead/i;

function findRefused(error: UpstreamError): RefusedParameter | undefined {
  const { message } = error;
  const code = error.code?.toLowerCase();
  // Models that do not reason have nothing to encrypt.
  if (/^encrypted content is not supported with this model/i.test(message)) {
    return { what: 'parameter', param: 'include', isUnknown: false };
  }
  const known = knownParameter.exec(message);
  if (code === 'unsupported_parameter' || known !== null) {
    const replacement = suggestion.exec(message)?.[1];
    return {
      what: 'parameter',
      param: error.param ?? known?.[1] ?? '',
      isUnknown: false,
      ...(replacement !== undefined && { replacement }),
    };
  }
  const value = unsupportedValue.exec(message);
  if (code === 'unsupported_value' || value !== null) {
    return refusedValue(error.param ?? value?.[1] ?? '', message);
  }
  // The older front end names several at once; the next refusal names the rest.
  const unknown =
    unknownParameter.exec(message)?.[1] ??
    unrecognizedArgument.exec(message)?.[1] ??
    additionalPath(message);
  if (unknown === undefined && code !== 'unknown_parameter' && code !== 'extra_forbidden') {
    return undefined;
  }
  return { what: 'parameter', param: error.param ?? unknown ?? '', isUnknown: true };
}

function additionalPath(message: string): string | undefined {
  const [, name, parent] = additionalProperty.exec(message) ?? [];
  return name === undefined || parent === undefined ? name : `${parent}.${name}`;
}

function refusedValue(param: string, message: string): RefusedParameter | undefined {
  const onlyDefault = /\bonly the default\b(?: \(([^)]{0,64})\))?/i.exec(message);
  if (onlyDefault !== null) {
    const text = onlyDefault[1] ?? '';
    const number = text === '' ? Number.NaN : Number(text);
    return { what: 'value', param, ...(Number.isFinite(number) && { default: number }) };
  }
  const refused = /does not support (?:'([^']*)'|(-?\d|true\b|false\b))/.exec(message);
  if (refused === null) return undefined;
  const [, text, literal] = refused;
  if (text !== undefined) return { what: 'value', param, value: text };
  // One number refused, others would be too: each would cost a call to learn.
  if (literal !== 'true' && literal !== 'false') return { what: 'value', param };
  return { what: 'value', param, value: literal === 'true' };
}
