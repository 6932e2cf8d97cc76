import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { CaptureDevice } from "../../lib/trace/capture_device.ts";
import { INBOUND, OUTBOUND, PcapngWriter } from "../../lib/trace/pcapng.ts";
import { memoryPair } from "../support/memory_device.ts";
import { readPcapng } from "../support/pcapng_reader.ts";

/** Keeps what it is given, and fails the test if the writer's memory were kept instead of its contents. */
function collector(): { sink: (bytes: Uint8Array) => void; file: () => Uint8Array } {
  const pieces: Uint8Array[] = [];
  return {
    sink: (bytes) => pieces.push(bytes.slice()),
    file: () => new Uint8Array(pieces.flatMap((piece) => [...piece])),
  };
}

function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.replaceAll(/\s/g, "").match(/../g)!, (byte) => parseInt(byte, 16));
}

/** 10.0.0.4 asks who has 10.0.0.5. */
const ARP_REQUEST = hex(
  "ffffffffffff 0200000000 04 0806 0001 0800 06 04 0001 020000000004 0a000004 000000000000 0a000005",
);
/** An echo request from 10.0.0.4 to 10.0.0.5, id 1, seq 1, no data. */
const ECHO = hex(
  "020000000005 020000000004 0800 4500001c00004000400126d9 0a000004 0a000005 0800f7fd00010001",
);

const EPOCH_US = Date.UTC(2026, 0, 2, 3, 4, 5) * 1000;

async function runOn(file: Uint8Array, command: string, ...args: string[]): Promise<string | null> {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    await Deno.writeFile(path, file);
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args: [...args, path],
      env: { TZ: "UTC" },
    }).output();
    const text = new TextDecoder().decode(stdout);
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    return text;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(`    (${command} is not installed: its reading of the file is not compared)`);
    return null;
  } finally {
    await Deno.remove(path);
  }
}

function part(bytes: Uint8Array) {
  return { bytes, offset: 0, length: bytes.length };
}

function sample(): Uint8Array {
  const { sink, file } = collector();
  const writer = new PcapngWriter(sink, { application: "lvl-ip test", os: "Linux" });
  const id = writer.addInterface({ name: "tap0", description: "the test's" });
  writer.packet(id, EPOCH_US + 123_456, [part(ARP_REQUEST)], OUTBOUND, "wer ist wer? \u00fc");
  writer.packet(id, EPOCH_US + 123_457, [part(ECHO)], INBOUND);
  writer.packet(id, EPOCH_US + 999_999, [part(ECHO.subarray(0, 20)), part(ECHO.subarray(20))]);
  writer.statistics(id, { startUs: EPOCH_US, endUs: EPOCH_US + 1e6, received: 3, dropped: 2 });
  writer.flush();
  return file();
}

Deno.test("the file's first blocks, byte by byte", () => {
  const { sink, file } = collector();
  const writer = new PcapngWriter(sink);
  writer.addInterface({ name: "t" });
  writer.packet(0, 0x1_0000_0002, [part(new Uint8Array([1, 2, 3, 4, 5]))], INBOUND);
  writer.flush();
  assertEquals(
    file(),
    hex(`
      0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000
      01000000 28000000 0100 0000 00000000 0200 0100 74000000 0900 0100 06000000 00000000 28000000
      06000000 34000000 00000000 01000000 02000000 05000000 05000000 0102030405000000
      0200 0400 01000000 00000000 34000000
    `),
  );
});

Deno.test("what is written is read back: packets, direction, comment, statistics", () => {
  const { interfaces, packets, statistics } = readPcapng(sample());
  assertEquals(interfaces, [{ name: "tap0", snapLength: 0, resolution: 6 }]);
  assertEquals(packets.map((p) => [p.timeUs - EPOCH_US, p.direction, p.comment]), [
    [123_456, OUTBOUND, "wer ist wer? \u00fc"],
    [123_457, INBOUND, ""],
    [999_999, 0, ""],
  ]);
  assertEquals(packets.map((p) => p.bytes), [ARP_REQUEST, ECHO, ECHO]);
  assertEquals(statistics, [{ interfaceId: 0, received: 3, dropped: 2 }]);
});

Deno.test("tcpdump reads it", async () => {
  const text = await runOn(sample(), "tcpdump", "-n", "-tttt", "-v", "-r");
  if (text === null) return;
  assertStringIncludes(text, "2026-01-02 03:04:05.123456");
  assertStringIncludes(text, "who-has 10.0.0.5 tell 10.0.0.4");
  assertStringIncludes(text, "10.0.0.4 > 10.0.0.5: ICMP echo request, id 1, seq 1, length 8");
  assertEquals(text.includes("bad cksum"), false);
  assertEquals(text.match(/echo request/g)?.length, 2);
});

Deno.test("tshark reads it, with name, direction and comment", async () => {
  const fields = [
    "frame.interface_name",
    "frame.packet_flags_direction",
    "frame.comment",
    "frame.time_epoch",
  ];
  const args = ["-T", "fields", ...fields.flatMap((field) => ["-e", field]), "-r"];
  const text = await runOn(sample(), "tshark", ...args);
  if (text === null) return;
  const rows = text.trimEnd().split("\n").map((line) => line.split("\t"));
  assertEquals(rows.map((row) => row[0]), ["tap0", "tap0", "tap0"]);
  assertEquals(rows.slice(0, 2).map((row) => Number(row[1])), [OUTBOUND, INBOUND]);
  assertEquals(rows[0][2], "wer ist wer? \u00fc");
  assertMatch(rows[0][3], /\.123456/);
});

Deno.test("snap length cuts what is kept, not what is told", () => {
  const { sink, file } = collector();
  const writer = new PcapngWriter(sink);
  const id = writer.addInterface({ name: "t", snapLength: 30 });
  writer.packet(id, 0, [part(ECHO.subarray(0, 25)), part(ECHO.subarray(25))]);
  writer.flush();
  const [packet] = readPcapng(file()).packets;
  assertEquals([packet.bytes, packet.originalLength], [ECHO.subarray(0, 30), ECHO.length]);
});

Deno.test("many packets, some larger than the buffer, pass through it whole", () => {
  const { sink, file } = collector();
  const writer = new PcapngWriter(sink);
  writer.addInterface({ name: "t" });
  const sizes = [1, 60_000, 3, 300_000, 65_536, 0, 150_001, 7];
  for (const size of sizes) writer.packet(0, size, [part(new Uint8Array(size).fill(size))]);
  writer.flush();
  const { packets } = readPcapng(file());
  assertEquals(packets.map((p) => p.bytes.length), sizes);
  for (const p of packets) assert(p.bytes.every((byte) => byte === (p.bytes.length & 255)));
});

Deno.test("a packet on an interface that was not added is a mistake", () => {
  const writer = new PcapngWriter(() => {});
  assertThrows(() => writer.packet(0, 0, []), RangeError, "Cannot write a packet: there is no interface 0");
});

Deno.test("CaptureDevice: both directions in order, payload slices included, flushed when due, ended by close", () => {
  const { sink, file } = collector();
  const [near] = memoryPair({ name: "mem" });
  const device = new CaptureDevice(near, sink, { epochOffsetUs: EPOCH_US });
  const frame = new Frame(2048);
  const ring = new Memory(128);
  ring.bytes.fill(5);
  frame.length = 20;
  frame.memory.bytes.fill(3, FRAME_START, FRAME_START + 20);
  frame.payload.memory = ring;
  [frame.payload.offset1, frame.payload.length1] = [120, 8];
  [frame.payload.offset2, frame.payload.length2] = [0, 2];
  assert(device.send(frame, 1000));
  near.inject(ECHO);
  assert(device.receive(frame, 1500));
  assertEquals(device.receive(frame, 1500), false);
  assertEquals(device.deadline, 201_000);
  assertEquals(readPcapng(file()).packets.length, 0);
  device.advance(device.deadline);
  assertEquals(device.deadline, Infinity);
  assertEquals(readPcapng(file()).packets.length, 2);
  device.close();
  device.close();
  const { packets, statistics, interfaces } = readPcapng(file());
  assertEquals(packets.map((p) => [p.timeUs - EPOCH_US, p.direction]), [[1000, OUTBOUND], [1500, INBOUND]]);
  assertEquals(packets.map((p) => p.bytes), [
    new Uint8Array([...Array(20).fill(3), ...Array(10).fill(5)]),
    ECHO,
  ]);
  assertEquals(statistics, [{ interfaceId: 0, received: 2, dropped: 0 }]);
  assertEquals(interfaces[0].name, "mem0");
  assertEquals(near.closed, true);
});

Deno.test("CaptureDevice: a frame the device refused is not recorded", () => {
  const { sink, file } = collector();
  const [near] = memoryPair({ capacity: 1 });
  const device = new CaptureDevice(near, sink, { epochOffsetUs: 0 });
  const frame = new Frame(2048);
  frame.length = 60;
  assertEquals([device.send(frame, 0), device.send(frame, 0)], [true, false]);
  device.close();
  assertEquals(readPcapng(file()).packets.length, 1);
});

Deno.test("CaptureDevice: a sink that fails ends the capture, not the traffic", () => {
  const [near, far] = memoryPair();
  let full = false;
  const device = new CaptureDevice(near, () => {
    if (full) throw new Error("No space left on device");
  }, { epochOffsetUs: 0 });
  full = true;
  const frame = new Frame(2048);
  frame.length = 60;
  assert(device.send(frame, 0));
  device.advance(1e6);
  assertStringIncludes(String(device.failure), "No space left");
  assert(device.send(frame, 1e6));
  assertEquals([far.pending, device.written, device.missed, device.deadline], [2, 1, 1, Infinity]);
  device.close();
});

Deno.test("CaptureDevice: several devices in one file, each an interface of it", () => {
  const { sink, file } = collector();
  const writer = new PcapngWriter(sink);
  const inner = ["left", "right"].map((name) => memoryPair({ name })[0]);
  const devices = inner.map((device) => new CaptureDevice(device, writer, { epochOffsetUs: 0 }));
  const frame = new Frame(2048);
  inner[1].inject(ECHO);
  assert(devices[1].receive(frame, 1));
  inner[0].inject(ARP_REQUEST);
  assert(devices[0].receive(frame, 2));
  for (const device of devices) device.close();
  const { packets, statistics, interfaces } = readPcapng(file());
  assertEquals(interfaces.map(({ name }) => name), ["left0", "right0"]);
  assertEquals(packets.map(({ interfaceId, timeUs }) => [interfaceId, timeUs]), [[1, 1], [0, 2]]);
  assertEquals(statistics.map(({ interfaceId, received }) => [interfaceId, received]), [[0, 1], [1, 1]]);
});
