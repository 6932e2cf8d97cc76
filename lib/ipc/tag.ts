/**
 * The tag: 64 bits that a program's Unix socket keeps in SO_MAX_PACING_RATE, by which the preloaded library knows what it
 * is: 12 bits of magic, 4 bits of state, 48 bits of id. ffi/preload/protocol.h says the same in C.
 */
const MAGIC = 0x1f7n;

/** What a socket that the daemon makes is; the library knows more states. */
export const TAG_STATE = { stream: 4, datagram: 7, icmp: 9, raw: 11 } as const;
export type TagState = typeof TAG_STATE[keyof typeof TAG_STATE];

export function makeTag(state: TagState, id: bigint): bigint {
  return MAGIC << 52n | BigInt(state) << 48n | id;
}
