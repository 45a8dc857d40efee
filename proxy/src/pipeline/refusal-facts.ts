import { canonicalPath } from '../endpoints/path.ts';
import type { GatewayError } from '../errors.ts';
import type { RefusalFacts } from '../telemetry/access-log.ts';
import { redact } from '../upstream/redact.ts';

const maxPath = 200;
const maxModel = 100;

/** A key in the wrong place, e.g. in the path of a base URL. */
const misplacedKey = /\bsk-[\w-]{8,}/g;

/**
 * What the log says of a refusal besides its code: the path that nothing answers, the model that was asked for, the limit that was hit.
 *
 * @param url - the request target
 */
export function refusalFacts({ code, values }: GatewayError, url: string): RefusalFacts {
  switch (code) {
    case 'not_found':
      return { path: written(canonicalPath(url) ?? targetWithoutSecrets(url), maxPath) };
    case 'model_not_found':
    case 'model_access_denied':
      return { model: written(String(values['model']), maxModel) };
    case 'rate_limit_exceeded':
      return {
        scope: String(values['scope']),
        limitType: String(values['limitType']),
        limit: Number(values['limit']),
      };
    case 'budget_exceeded':
      return {
        scope: String(values['scope']),
        limitType: 'budget',
        limit: Number(values['budget']),
      };
    default:
      return {};
  }
}

/** A target that is no path, e.g. a whole URL of another scheme, without its query and without name and password. */
function targetWithoutSecrets(url: string): string {
  return url.replace(/\?[^]*/, '').replace(/\/\/[^#]*@/, '//');
}

/** A caller's own words, short and without keys. */
function written(text: string, maxLength: number): string {
  // Cut first, with room for what redaction takes out: a long text costs nothing.
  const start = text.slice(0, 4 * maxLength);
  return redact(start).replace(misplacedKey, '[redacted]').slice(0, maxLength);
}
