/** Packets into fragments (RFC 791 3.2), and the identifications that hold them together (RFC 6864). */
import type { IpAddress } from "../wire/address.ts";
import { IPV4_HEADER, type Ipv4Header } from "../wire/ipv4.ts";
import type { Packet } from "./packet.ts";
import type { SipHash } from "./siphash.ts";

/** Tells this use of the hash from those of isn.ts, ports.ts and tcb_options.ts. */
const IDENTIFICATION = 16;
const COUNTERS = 1024;

/**
 * Identifications for packets that may be fragmented: to one peer, of one protocol, they follow each other, so that one
 * comes back as late as possible (RFC 6864 4.3); a stranger sees neither where they begin nor how many others got
 * (RFC 7739 5.3). Packets that are never fragmented need none (RFC 6864 4.1).
 */
export class Identifications {
  private readonly counters = new Uint16Array(COUNTERS);
  private readonly words = new Int32Array(4);

  constructor(private readonly hash: SipHash) {}

  next(source: IpAddress, destination: IpAddress, protocol: number): number {
    const { words } = this;
    words[0] = source;
    words[1] = destination;
    words[2] = protocol;
    words[3] = IDENTIFICATION;
    const hash = this.hash.hash(words, 4);
    // Peers that share a counter do not share the distance from it.
    return ((hash >>> 16) + this.counters[hash & (COUNTERS - 1)]++) & 0xffff;
  }
}

/** Whether what is left of the packet fits into one of `mtu` bytes. */
export function fits(packet: Packet, mtu: number): boolean {
  return packet.length - packet.sent + (packet.hasHeader ? 0 : IPV4_HEADER) <= mtu;
}

/**
 * Takes the next fragment from the packet, or all of it where it fits: sets offset and "more fragments" in `header`, and
 * answers with its bytes of payload, which begin where `packet.sent` was.
 */
export function takeFragment(packet: Packet, mtu: number, header: Ipv4Header): number {
  const isLast = fits(packet, mtu);
  const length = isLast ? packet.length - packet.sent : (mtu - IPV4_HEADER) & ~7;
  header.fragmentOffset = packet.sent;
  header.moreFragments = !isLast;
  packet.sent += length;
  return length;
}
