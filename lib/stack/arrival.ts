import type { Frame } from "../buffer/frame.ts";
import type { Memory } from "../buffer/memory.ts";
import { EthernetHeader } from "../wire/ethernet.ts";
import { Icmpv4Header, QuotedPacket } from "../wire/icmpv4.ts";
import { Ipv4Header } from "../wire/ipv4.ts";
import { UdpHeader } from "../wire/udp.ts";
import type { Interface } from "./interface.ts";

/** The packet that is being taken in, as far as it was read. One object, reused. */
export class Arrival {
  memory: Memory | null = null;
  /** The frame that it came in, for what the device said of it; null: it never was in one. */
  frame: Frame | null = null;
  /** Where it came in; what we sent ourselves, on the loopback. */
  link!: Interface;
  /** Where the IP packet begins, and its bytes as far as they arrived. */
  offset = 0;
  length = 0;
  readonly ethernet = new EthernetHeader();
  readonly ip = new Ipv4Header();
  readonly icmp = new Icmpv4Header();
  readonly quoted = new QuotedPacket();
  readonly udp = new UdpHeader();
  /** It came in a broadcast or multicast frame. */
  isLinkBroadcast = false;
  /** It is addressed to an IP broadcast or multicast address. */
  isBroadcast = false;
  /** The device vouches for its transport checksum, or it never left this host. */
  isVerified = false;
  /** Payload of each of the TCP segments or UDP datagrams that were put together, or not cut yet; 0: it is one. */
  gsoSize = 0;
  /** Its TCP payload lies in the connection's receive buffer already, where it belongs. */
  isPlaced = false;
  /** We sent it ourselves. */
  isLoopback = false;
}
