import { randomFillSync } from 'node:crypto';

/** An id that a caller may set: it goes into logs and headers, so it is plain and short. */
const plainId = /^[A-Za-z0-9_.:-]{8,128}$/;

/** The id of a request: the caller's `x-request-id` or `x-litellm-call-id` where it is fit for logs and headers, else a new one. */
export function requestIdOf(headers: {
  readonly [name: string]: string | readonly string[] | undefined;
}): string {
  const given = headers['x-request-id'] ?? headers['x-litellm-call-id'];
  return typeof given === 'string' && plainId.test(given) ? given : newId();
}

const hexDigits = Buffer.from('0123456789abcdef');
const dash = 0x2d;
/** Of 4096 bytes at once: to ask for sixteen costs as much as all the rest. */
const random = Buffer.alloc(4096);
let randomAt = random.length;
/** The form of an id; what is no dash is filled in anew for each. */
const form = Buffer.from('xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx');
const versionAt = 14;
const variantAt = 19;

/**
 * A random UUID (RFC 9562, version 4), as `randomUUID` makes it, but written into bytes: put together as text it would be twenty
 * objects, ten times the room, for every request.
 */
function newId(): string {
  if (random.length - randomAt < form.length) {
    randomFillSync(random);
    randomAt = 0;
  }
  for (let at = 0; at < form.length; at += 1) {
    if (form[at] === dash) continue;
    const digit = (random[randomAt++] ?? 0) & 0xf;
    form[at] = hexDigits[at === versionAt ? 4 : at === variantAt ? 8 | (digit & 3) : digit] ?? 0;
  }
  return form.toString('latin1');
}
