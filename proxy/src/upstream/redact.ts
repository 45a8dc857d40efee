/** What stands where something was taken out. */
const redacted = '[redacted]';

/** Where documentation lives: links to it help the caller and tell nothing. */
const publicHosts = new Set([
  'aka.ms',
  'go.microsoft.com',
  'learn.microsoft.com',
  'docs.microsoft.com',
  'platform.openai.com',
  'help.openai.com',
]);

const url = /\b(?:https?|wss?):\/\/[^\s"'<>`)\]]+/gi;
const cloudHost =
  /\b(?:[a-z0-9-]{1,63}\.){1,6}(?:azure\.com|azure\.us|azure\.cn|azure-api\.net|azurefd\.net|microsoft\.com|microsoftonline\.com|windows\.net|local|internal)\b(?::\d{1,5})?/gi;
const address = /\b(?:\d{1,3}\.){3}\d{1,3}\b(?::\d{1,5})?/g;
const guid = /\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/gi;
const armPath = /\/subscriptions\/[^\s"'<>`)\]]+/gi;
const token = /\beyJ[\w-]+(?:\.[\w-]+){0,2}/g;
const longKey = /\b(?:sk-)?[A-Za-z0-9]{32,}\b/g;

/** Azure names deployment, model and region in its rate-limit texts; none of it is the caller's. */
const rateLimitSubject =
  /\b(Your requests) to \S{1,200} for \S{1,200} in .{1,60}? (have exceeded)/g;

/**
 * Makes an upstream's message fit for a caller: hosts, addresses, keys, tokens, GUIDs, subscription paths and the deployment's name
 * are taken out; links to public documentation stay.
 *
 * @param names - the deployment's name, shown as the model's instead
 */
export function redact(message: string, names?: { deployment: string; model: string }): string {
  const text = message
    .replace(rateLimitSubject, '$1 $2')
    .replace(url, (link) => (isPublic(link) ? link : redacted))
    .replace(cloudHost, (host) => (publicHosts.has(host.toLowerCase()) ? host : redacted))
    .replace(armPath, redacted)
    .replace(guid, redacted)
    .replace(token, redacted)
    .replace(longKey, redacted)
    .replace(address, redacted);
  return names === undefined ? text : replaceName(text, names.deployment, names.model);
}

function isPublic(link: string): boolean {
  return URL.canParse(link) && publicHosts.has(new URL(link).hostname);
}

function replaceName(text: string, name: string, by: string): string {
  if (name === by || name === '') return text;
  const whole = new RegExp(`(?<![\\w.-])${RegExp.escape(name)}(?![\\w-]|\\.\\w)`, 'g');
  return text.replace(whole, () => by);
}
