/**
 * What a packet costs in the wire and buffer rooms: `deno bench scripts/bench/micro/wire_bench.ts`. The budget of a
 * 1460-byte segment at 2 Gbit/s is 5.8 us.
 */
import { FRAME_START } from "../../../lib/buffer/frame.ts";
import { Memory, Slices } from "../../../lib/buffer/memory.ts";
import { MemoryPool } from "../../../lib/buffer/memory_pool.ts";
import { RangeSet } from "../../../lib/buffer/range_set.ts";
import { RingBuffer } from "../../../lib/buffer/ring_buffer.ts";
import { sum } from "../../../lib/wire/checksum.ts";
import { emitEthernet, EthernetHeader, parseEthernet } from "../../../lib/wire/ethernet.ts";
import { emitIpv4, Ipv4Header, parseIpv4 } from "../../../lib/wire/ipv4.ts";
import { ACK, emitTcp, parseTcp, SYN, TcpHeader } from "../../../lib/wire/tcp.ts";

const MSS = 1460;
const IP = FRAME_START + 14;
const TCP = IP + 20;

const memory = new Memory(65536 + 256);
crypto.getRandomValues(memory.bytes.subarray(0, 65536));
/** Every result goes here, so that no call can be optimised away. */
let result = 0;

/** The textbook loop, to compare with. */
function sumHalfwords(view: DataView, offset: number, length: number): number {
  let total = 0;
  for (let at = offset; at < offset + length; at += 2) total += view.getUint16(at);
  return (total & 0xffff) + (total >>> 16);
}

Deno.bench("checksum of 1460 bytes, 16 bits at a time", { group: "checksum" }, () => {
  result ^= sumHalfwords(memory.view, TCP, MSS);
});
Deno.bench("checksum of 1460 bytes", { group: "checksum", baseline: true }, () => {
  result ^= sum(memory, TCP, MSS);
});
Deno.bench("checksum of 1460 bytes at an odd offset", { group: "checksum" }, () => {
  result ^= sum(memory, TCP + 1, MSS);
});
Deno.bench("checksum of 65536 bytes", { group: "checksum" }, () => {
  result ^= sum(memory, 0, 65536);
});
Deno.bench("checksum of an IP header", { group: "checksum" }, () => {
  result ^= sum(memory, IP, 20);
});

const ethernet = new EthernetHeader();
ethernet.destination = 0x020000000004;
ethernet.source = 0x020000000005;
ethernet.etherType = 0x0800;
const ip = new Ipv4Header();
ip.totalLength = 52 + MSS;
ip.ttl = 64;
ip.protocol = 6;
ip.source = 0x0a000005;
ip.destination = 0x0a000004;
const segment = new TcpHeader();
segment.flags = ACK;
segment.seq = -12345;
segment.timestamps = true;
const syn = new TcpHeader();
Object.assign(syn, { flags: SYN, mss: MSS, windowScale: 10, sackPermitted: true, timestamps: true });
const withSack = new TcpHeader();
Object.assign(withSack, { flags: ACK, timestamps: true, sackCount: 3 });
const parsed = new TcpHeader();

const headers = new Memory(256);
const synBytes = new Memory(256);
const sackBytes = new Memory(256);
emitEthernet(headers, FRAME_START, ethernet);
emitIpv4(headers, IP, ip);
emitTcp(headers, TCP, segment);
const synLength = emitTcp(synBytes, TCP, syn);
const sackLength = emitTcp(sackBytes, TCP, withSack);

Deno.bench("parse Ethernet", { group: "parse" }, () => {
  result ^= parseEthernet(headers, FRAME_START, 1526, ethernet);
});
Deno.bench("parse IPv4, checksum included", { group: "parse" }, () => {
  result ^= parseIpv4(headers, IP, 1512, ip);
});
Deno.bench("parse TCP, timestamps", { group: "parse", baseline: true }, () => {
  result ^= parseTcp(headers, TCP, 1492, parsed) ^ parsed.seq;
});
Deno.bench("parse TCP, a SYN", { group: "parse" }, () => {
  result ^= parseTcp(synBytes, TCP, synLength, parsed) ^ parsed.mss;
});
Deno.bench("parse TCP, timestamps and 3 SACK blocks", { group: "parse" }, () => {
  result ^= parseTcp(sackBytes, TCP, sackLength, parsed) ^ parsed.sackCount;
});

Deno.bench("emit Ethernet", { group: "emit" }, () => {
  result ^= emitEthernet(headers, FRAME_START, ethernet);
});
Deno.bench("emit IPv4, checksum included", { group: "emit" }, () => {
  result ^= emitIpv4(headers, IP, ip);
});
Deno.bench("emit TCP, timestamps", { group: "emit", baseline: true }, () => {
  segment.seq = (segment.seq + MSS) | 0;
  result ^= emitTcp(headers, TCP, segment);
});
Deno.bench("emit TCP, a SYN", { group: "emit" }, () => {
  result ^= emitTcp(synBytes, TCP, syn);
});
Deno.bench("emit TCP, timestamps and 3 SACK blocks", { group: "emit" }, () => {
  result ^= emitTcp(sackBytes, TCP, withSack);
});

const pool = new MemoryPool();
const ring = new RingBuffer(pool);
ring.write(new Uint8Array(100_000), 0, 100_000);
const small = new RingBuffer(pool);
const slices = new Slices();
const chunk = new Uint8Array(MSS);

Deno.bench("ring: write and consume 1460 bytes", { group: "ring", baseline: true }, () => {
  ring.write(chunk, 0, MSS);
  ring.consume(MSS);
});
Deno.bench("ring: write and read 1460 bytes", { group: "ring" }, () => {
  ring.write(chunk, 0, MSS);
  result ^= ring.read(chunk, 0, MSS);
});
Deno.bench("ring: reserve, advance and consume 1460 bytes in place", { group: "ring" }, () => {
  ring.reserve(MSS, slices);
  ring.advance(MSS);
  ring.consume(MSS);
});
Deno.bench("ring: slices", { group: "ring" }, () => {
  ring.slices(5000, MSS, slices);
  result ^= slices.offset1;
});
Deno.bench(
  "ring: write and read 8 bytes, the block taken from the pool and given back",
  { group: "ring" },
  () => {
    small.write(chunk, 0, 8);
    small.read(chunk, 0, 8);
    small.releaseIfEmpty();
  },
);

const ranges = new RangeSet();
let next = 0;
Deno.bench("ranges: a hole opens and closes", { group: "ranges" }, () => {
  ranges.add((next + MSS) | 0, (next + 2 * MSS) | 0);
  ranges.add(next, (next + MSS) | 0);
  next = (next + 2 * MSS) | 0;
  ranges.removeBefore(next);
});
