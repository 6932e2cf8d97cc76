/**
 * Why a packet was dropped. A bad packet is data, not an exception: the parsers and the layers above return one of these
 * codes, and the stack counts them by name.
 */
export const DROP = {
  none: 0,

  /** Longer than the device's frames may be, or cut in the middle by it. */
  frameOversized: 1,
  ethernetTruncated: 2,
  /** The source address has the group bit set. */
  ethernetSourceInvalid: 3,
  ethernetNotForUs: 4,
  etherTypeUnknown: 5,

  arpTruncated: 6,
  /** Not Ethernet and IPv4, or lengths that do not belong to them. */
  arpMalformed: 7,
  arpOperationUnknown: 8,
  /** The sender's addresses cannot be a host's. */
  arpSenderInvalid: 9,
  arpNotForUs: 10,

  ipTruncated: 11,
  ipVersion: 12,
  /** IHL below 5, or beyond the packet. */
  ipHeaderLength: 13,
  /** Total length smaller than the header, or larger than what arrived. */
  ipTotalLength: 14,
  ipChecksum: 15,
  ipOptionMalformed: 16,
  ipSourceRoute: 17,
  /** The source address is a multicast, broadcast, loopback or our own address. */
  ipSourceInvalid: 18,
  ipNotForUs: 19,
  /** A fragment of a datagram that was given up because its fragments contradict each other. */
  ipFragmentRefused: 20,
  ipProtocolUnknown: 21,
  /** A unicast IP packet in a broadcast or multicast Ethernet frame (RFC 1122 3.3.6). */
  ipLinkBroadcast: 22,
  ipNoRoute: 23,
  /** Given up because no neighbor answered for its address. */
  neighborUnreachable: 24,
  neighborQueueFull: 25,

  icmpTruncated: 26,
  icmpChecksum: 27,
  icmpTypeUnknown: 28,
  icmpCodeUnknown: 29,
  /** The packet that an ICMP error quotes is too short or not one that was ever sent. */
  icmpQuoteMalformed: 30,
  /** An ICMP error or reply that concerns no socket. */
  icmpNoSocket: 31,
  /** A request sent to a broadcast or multicast address (RFC 1122 3.2.2.6). */
  icmpBroadcast: 32,
  icmpRateLimited: 33,

  udpTruncated: 34,
  /** A length field below 8 or beyond the packet. */
  udpLength: 35,
  udpChecksum: 36,
  udpNoSocket: 37,
  udpQueueFull: 38,

  tcpTruncated: 39,
  /** A data offset below 5, or beyond the segment. */
  tcpDataOffset: 40,
  tcpChecksum: 41,
  tcpOptionMalformed: 42,
  /** Port 0 on either side. */
  tcpPortInvalid: 43,
  /** To or from a broadcast or multicast address (RFC 9293 3.9.2.3). */
  tcpNotUnicast: 44,
  tcpNoSocket: 45,
  tcpBacklogFull: 46,
  tcpOutOfMemory: 47,
  /** A reset that was not sent, since too many were. */
  tcpResetRateLimited: 48,
  /** A segment for a listener that neither opens a connection nor calls for a reset. */
  tcpNotSyn: 49,

  /** A packet of ours that found the line of those to be sent full. */
  ipSendQueueFull: 50,
  /** Larger than the way to its destination takes, and there is no fragmentation. */
  ipTooBig: 51,
  /** Redirects are not heeded (RFC 1122 3.2.2.2 lets a host with one router do so). */
  icmpRedirectIgnored: 52,

  /** A fragment that is empty, or that is not the last and no multiple of 8 bytes long (RFC 791 3.2). */
  ipFragmentLength: 53,
  /** Offset and length go beyond the 65535 bytes of the longest packet ("ping of death"). */
  ipFragmentOversized: 54,
  /** It came before, byte for byte. */
  ipFragmentDuplicate: 55,
  /** It overlaps another: the whole datagram is given up (RFC 5722). */
  ipFragmentOverlap: 56,
  /** It lies beyond the end of the datagram, or gives it another: the whole datagram is given up. */
  ipFragmentEnd: 57,
  /** Congestion was experienced by a datagram whose sender cannot have allowed that (RFC 3168 5.3). */
  ipFragmentEcn: 58,
  /** A datagram whose missing fragments did not come in time (RFC 1122 3.3.2). */
  ipReassemblyTimeout: 59,
  /** A datagram that was given up in favor of newer ones. */
  ipReassemblyMemory: 60,

  /** A SYN that found too many half-open connections, where SYN cookies are off. */
  tcpSynQueueFull: 61,
  /** An ACK that completes a handshake, but brings none of the data that TCP_DEFER_ACCEPT waits for. */
  tcpAcceptDeferred: 62,

  /** A packet that found too many others waiting for the same device, which is full. */
  deviceQueueFull: 63,
  /** A packet for somebody else from or to an address that no router may pass on (RFC 1812 5.3.7, RFC 3927 2.7). */
  ipNotForwardable: 64,
  /** A packet for somebody else that has been through as many routers as it may (RFC 1812 5.3.1). */
  ipTtlExceeded: 65,
  /** What a device said of a packet's checksum or segments contradicts the packet. */
  frameOffloadInvalid: 66,
  /** SYN and FIN at once, where the settings say that nobody does so honestly. */
  tcpSynFin: 67,
} as const;

/** One of the values of {@link DROP}; 0 (`DROP.none`): the packet is good. */
export type DropCode = typeof DROP[keyof typeof DROP];

// Two keys with one number would make a counter lie; the test checks that every code names itself.
const NAMES: string[] = [];
for (const [name, code] of Object.entries(DROP)) NAMES[code] = name;

/** How many codes there are: the size of a table of counters. */
export const DROP_COUNT: number = NAMES.length;

/** The name of a code, as it appears in counters and logs; "unknown" if there is no such code. */
export function dropName(code: number): string {
  return NAMES[code] ?? "unknown";
}
