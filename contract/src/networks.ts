// oxlint-disable-next-line no-restricted-imports -- these two compare addresses, and do no I/O
import { BlockList, isIP } from 'node:net';

type Network = {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
};

/**
 * A network as people write it: an address alone, or `10.0.0.0/8`. Undefined for what is none, and for `/0`, which means every
 * address and must not stand where somebody means a list.
 */
function networkOf(text: string): Network | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = match?.[1] ?? '';
  const version = isIP(address);
  // With a zone it is an address of one machine's own link.
  if (version === 0 || address.includes('%')) return undefined;
  const most = version === 4 ? 32 : 128;
  const bits = Number(match?.[2] ?? most);
  if (bits < 1 || bits > most) return undefined;
  return { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** Whether a text names a network, or one address. */
export function isNetwork(text: string): boolean {
  return networkOf(text) !== undefined;
}

/**
 * What tells whether an address is in one of the networks. An IPv4 address counts as such also where it is written as
 * `::ffff:10.0.0.1`, as sockets that take both versions do.
 *
 * @throws {RangeError} for a text that names no network
 */
export function inNetworks(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const text of networks) {
    const network = networkOf(text);
    if (network === undefined) throw new RangeError(`"${text}" is no network`);
    list.addSubnet(network.address, network.bits, network.family);
  }
  return (address) => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6');
  };
}
