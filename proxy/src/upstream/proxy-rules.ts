import { BlockList, isIP } from 'node:net';

type Rule = { host: string; port: string; subdomainsOnly: boolean };

/** Instance metadata of Azure, and of AWS by the same address: reachable from this machine alone. */
const metadataAddress = '169.254.169.254';

/**
 * Compiles `NO_PROXY`: whether an origin is reached without the proxy.
 *
 * Entries are separated by commas or spaces: `*`, a host (with its subdomains), `.suffix` (the same), `*.suffix` (subdomains
 * only), each with an optional port; addresses, `[::1]:443`, and ranges such as `10.0.0.0/8`, which match hosts given as
 * addresses: names are not resolved. Case and a trailing dot do not matter. Loopback and the metadata address are always direct.
 */
export function createProxyRules(noProxy: string): (origin: string) => boolean {
  const rules: Rule[] = [];
  const ranges = new BlockList();
  for (const entry of noProxy.split(/[,\s]+/)) {
    if (entry === '') continue;
    const [network, bits] = entry.split('/');
    const family = network === undefined ? 0 : isIP(network);
    if (bits === undefined || network === undefined || family === 0) {
      rules.push(parseRule(entry));
    } else if (isPrefixLength(bits, family)) {
      ranges.addSubnet(network, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
    }
  }

  return (origin) => {
    const url = new URL(origin);
    const host = bareHost(url.hostname);
    if (isLocal(host)) return true;
    const family = isIP(host);
    if (family !== 0 && ranges.check(host, family === 4 ? 'ipv4' : 'ipv6')) return true;
    const port = url.port === '' ? defaultPort(url.protocol) : url.port;
    return rules.some((rule) => matches(rule, host, port));
  };
}

function matches(rule: Rule, host: string, port: string): boolean {
  if (rule.port !== '' && rule.port !== port) return false;
  if (rule.host === '*') return true;
  return (host === rule.host && !rule.subdomainsOnly) || host.endsWith(`.${rule.host}`);
}

function parseRule(entry: string): Rule {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(entry);
  if (bracketed !== null) {
    return { host: bareHost(bracketed[1] ?? ''), port: bracketed[2] ?? '', subdomainsOnly: false };
  }
  // More than one colon without brackets is an IPv6 address, not a port.
  const withPort = /^([^:]+):(\d+)$/.exec(entry);
  const host = bareHost(withPort?.[1] ?? entry);
  return {
    host: host === '*' ? host : host.replace(/^\*?\./, ''),
    port: withPort?.[2] ?? '',
    subdomainsOnly: host.startsWith('*.'),
  };
}

function isLocal(host: string): boolean {
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '::1' ||
    host === metadataAddress ||
    (isIP(host) === 4 && host.startsWith('127.'))
  );
}

function bareHost(hostname: string): string {
  return hostname
    .replace(/^\[(.+)\]$/, '$1')
    .replace(/(.)\.$/, '$1')
    .toLowerCase();
}

function isPrefixLength(bits: string, family: number): boolean {
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

function defaultPort(protocol: string): string {
  return protocol === 'https:' ? '443' : '80';
}
