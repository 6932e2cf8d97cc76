/**
 * Frames as Linux 6.18 put them on a TAP whose peer, 10.0.0.4 at 02:00:00:00:00:04, was played by a script. Each begins with
 * its Ethernet header.
 */
import { Memory } from "../../lib/buffer/memory.ts";

export const GOLDEN = {
  arpRequest: "ffffffffffff020000000005080600010800060400010200000000050a0000050000000000000a000004",
  arpReply: "020000000004020000000005080600010800060400020200000000050a0000050200000000040a000004",
  /** "hello udp" to port 7. */
  udp:
    "020000000004020000000005080045000025c831400040115e8e0a0000050a0000049c4100070011262468656c6c6f20756470",
  /** ping -s 24. */
  echoRequest: "0200000000040200000000050800450000343ccd40004001e9f30a0000050a000004080087c925060001" +
    "2f4a026b00000000c1290c00000000001011121314151617",
  /** Identifier 0x1234, sequence number 7, "lvl-ip". */
  echoReply: "0200000000040200000000050800450000223cce000040012a050a0000050a0000040000abb01234000" +
    "76c766c2d6970",
  /** For a datagram "abc" from 10.0.0.4:40000 to port 9; DSCP CS6. */
  portUnreachable: "0200000000040200000000050800" + "45c0003b3ccf00004001292b0a0000050a000004" +
    "03039c4500000000" + "4500001f00014000401126c50a0000040a000005" + "9c400009000b0000616263",
  syn: "02000000000402000000000508004500003c5df840004006c8bb0a0000050a000004a02808008e07cf7f00000000" +
    "a002faf095750000020405b40402080ac208dbd5000000000103030a",
  ack: "0200000000040200000000050800450000345df940004006c8c20a0000050a000004a02808008e07cf8000001389" +
    "8010003fa77500000101080ac208dbd5000003e8",
  /** "hello\n" */
  data: "02000000000402000000000508004500003a5dfa40004006c8bb0a0000050a000004a02808008e07cf8000001389" +
    "8018003f638b00000101080ac208dbd5000003e868656c6c6f0a",
  sack1: "0200000000040200000000050800450000405dfb40004006c8b40a0000050a000004a02808008e07cf8600001389" +
    "b010003f497400000101080ac208dbd5000003e80101050a000013ed000013f7",
  sack3: "0200000000040200000000050800450000505dfd40004006c8a20a0000050a000004a02808008e07cf8600001389" +
    "f010003fb73300000101080ac208dbd5000003e80101051a000014b5000014bf000014510000145b000013ed000013f7",
  fin: "0200000000040200000000050800450000345e0040004006c8bb0a0000050a000004a02808008e07cf860000138a" +
    "8011003fa76900000101080ac208dbd8000003e9",
  /** With all options at once, a Fast Open cookie of 8 bytes among them. */
  synAckFastOpen:
    "02000000000402000000000508004500004800004000400626a80a0000050a00000400501388a86b129a00001b59" +
    "d012fe8805a50000020405b40402080abbc52eae000003e80103030a220acb2d7e86df02db550101",
  /** To a peer without timestamps and window scaling. */
  synAckPlain:
    "02000000000402000000000508004500003000004000400626c00a0000050a000004005013899bec348000001b59" +
    "7012faf074770000020405b401010402",
  reset: "02000000000402000000000508004500002800004000400626c80a0000050a0000040051138a0000000000001b59" +
    "501400006c940000",
} as const;

/** Where the bytes lie in what memoryOf makes, by default: where the Ethernet header of a frame does. */
export const START = 2;

export function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A memory with these bytes from `at` on, among bytes of 0xA5 that no parser may look at. */
export function memoryOf(bytes: Uint8Array, at = START): Memory {
  const memory = new Memory(Math.max(128, (at + bytes.length + 128) & ~3));
  memory.bytes.fill(0xa5);
  memory.bytes.set(bytes, at);
  return memory;
}

/** A golden frame in memory, with where its parts begin. */
export function golden(name: keyof typeof GOLDEN) {
  const bytes = bytesOf(GOLDEN[name]);
  return { memory: memoryOf(bytes), bytes, length: bytes.length, ip: START + 14, transport: START + 34 };
}

/** The `length` bytes at `offset`, in hexadecimal. */
export function dump(memory: Memory, offset: number, length: number): string {
  return hexOf(memory.bytes.subarray(offset, offset + length));
}
