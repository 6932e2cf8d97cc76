import { assertEquals, AssertionError, assertThrows } from "@std/assert";
import { PcapngWriter } from "../../lib/trace/pcapng.ts";
import { arpFrame, icmpFrame, tcpFrame, udpFrame } from "./build.ts";
import {
  ack,
  arpRequest,
  assertFrame,
  assertFrameWith,
  destinationMac,
  flags,
  formatFrame,
  from,
  mss,
  optionKinds,
  parseFlags,
  payload,
  sack,
  sackOk,
  seq,
  timestamp,
  to,
  ttl,
  win,
  withoutOptions,
  wscale,
} from "./checker.ts";

const ends = { source: "10.0.0.4", destination: "10.0.0.5", sourcePort: 1234, destinationPort: 80 };

const SYN_ACK = tcpFrame({
  ...ends,
  flags: "S.",
  seq: -1,
  ack: 2,
  mss: 1460,
  windowScale: 7,
  sackPermitted: true,
  timestamps: [3, -4],
});

const FRAMES: [frame: Uint8Array, line: string][] = [
  [
    SYN_ACK,
    "10.0.0.4.1234 > 10.0.0.5.80: Flags [S.], seq 4294967295, ack 2, win 65535, " +
    "options [mss 1460,sackOK,TS val 3 ecr 4294967292,nop,wscale 7], length 0",
  ],
  [
    tcpFrame({ ...ends, flags: "P.", seq: -2, ack: 5, window: 100, payload: "hello" }),
    "10.0.0.4.1234 > 10.0.0.5.80: Flags [P.], seq 4294967294:3, ack 5, win 100, length 5",
  ],
  [
    tcpFrame({ ...ends, flags: ".", seq: 9, ack: 5, sack: [[10, 20], [30, 40]] }),
    "10.0.0.4.1234 > 10.0.0.5.80: Flags [.], ack 5, win 65535, options [nop,nop,sack 2 {10:20}{30:40}], length 0",
  ],
  [
    tcpFrame({ ...ends, flags: "F.UEW", seq: 9, ack: 5, urgentPointer: 3, payload: "abcd" }),
    "10.0.0.4.1234 > 10.0.0.5.80: Flags [F.UEW], seq 9:13, ack 5, win 65535, urg 3, length 4",
  ],
  [
    tcpFrame({ ...ends, flags: "R", seq: 9 }),
    "10.0.0.4.1234 > 10.0.0.5.80: Flags [R], seq 9, win 65535, length 0",
  ],
  [tcpFrame({ ...ends, flags: "none" }), "10.0.0.4.1234 > 10.0.0.5.80: Flags [none], win 65535, length 0"],
  [
    udpFrame({ ...ends, destinationPort: 9999, payload: "abc" }),
    "10.0.0.4.1234 > 10.0.0.5.9999: UDP, length 3",
  ],
  [
    icmpFrame({ ...ends, type: 8, rest: (7 << 16) | 1, payload: "x" }),
    "10.0.0.4 > 10.0.0.5: ICMP echo request, id 7, seq 1, length 9",
  ],
  [
    icmpFrame({ ...ends, type: 0, rest: (7 << 16) | 1, payload: "odd" }),
    "10.0.0.4 > 10.0.0.5: ICMP echo reply, id 7, seq 1, length 11",
  ],
  [
    arpFrame({ operation: 1, senderIp: "10.0.0.4", targetIp: "10.0.0.5" }),
    "ARP, Request who-has 10.0.0.5 tell 10.0.0.4, length 28",
  ],
  [
    arpFrame({ operation: 2, senderIp: "10.0.0.4", targetIp: "10.0.0.5" }),
    "ARP, Reply 10.0.0.4 is-at 02:00:00:00:00:04, length 28",
  ],
];

Deno.test("formatFrame: a line a frame", () => {
  for (const [frame, line] of FRAMES) assertEquals(formatFrame(frame), line);
});

Deno.test("formatFrame: the same lines as tcpdump's", async () => {
  const path = await Deno.makeTempFile({ suffix: ".pcapng" });
  try {
    const pieces: Uint8Array[] = [];
    const writer = new PcapngWriter((bytes) => pieces.push(bytes.slice()));
    writer.addInterface({ name: "t" });
    for (const [frame] of FRAMES) writer.packet(0, 0, [{ bytes: frame, offset: 0, length: frame.length }]);
    writer.flush();
    await Deno.writeFile(path, new Uint8Array(pieces.flatMap((piece) => [...piece])));
    const { stdout } = await new Deno.Command("tcpdump", { args: ["-n", "-t", "-S", "-r", path] }).output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    // Behind a payload tcpdump may name the protocol it takes the port for.
    const plain = lines.map((line) => line.replace(/^IP /, "").replace(/(length \d+): HTTP.*/, "$1"));
    assertEquals(plain, FRAMES.map(([, line]) => line));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log("    (tcpdump is not installed: its lines are not compared)");
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("formatFrame: relative sequence numbers, and what is wrong at the end", () => {
  const isn = new Map([["10.0.0.4.1234", -3], ["10.0.0.5.80", 4]]);
  assertEquals(
    formatFrame(FRAMES[1][0], { isn }),
    "10.0.0.4.1234 > 10.0.0.5.80: Flags [P.], seq 1:6, ack 1, win 100, length 5",
  );
  const damaged = FRAMES[1][0].slice();
  damaged[damaged.length - 1] ^= 1;
  assertEquals(formatFrame(damaged).endsWith(" (bad TCP checksum)"), true);
  assertEquals(formatFrame(damaged, { checksumOffloaded: true }).endsWith("length 5"), true);
  damaged[24] ^= 1;
  assertEquals(formatFrame(damaged).endsWith(" (bad IP checksum, bad TCP checksum)"), true);
});

Deno.test("formatFrame never throws: every truncation and many mutations of every frame", () => {
  for (const [frame] of FRAMES) {
    for (let length = 0; length < frame.length; length++) {
      assertEquals(formatFrame(frame.subarray(0, length)).length > 0, true);
    }
    for (let at = 0; at < frame.length; at++) {
      for (const value of [0, 1, 127, 255]) {
        const mutated = frame.slice();
        mutated[at] = value;
        assertEquals(formatFrame(mutated).length > 0, true);
      }
    }
  }
});

Deno.test("assertFrame: checks compose", () => {
  assertFrame(
    SYN_ACK,
    from("10.0.0.4", 1234),
    to("10.0.0.5", 80),
    destinationMac("02:00:00:00:00:05"),
    ttl(64),
    flags("S."),
    seq(-1),
    ack(2),
    win(65535),
    mss(1460),
    wscale(7),
    sackOk,
    timestamp(3, -4),
    optionKinds(2, 4, 8, 1, 3),
    withoutOptions(5),
    payload(0),
  );
  assertFrame(FRAMES[2][0], sack([10, 20], [30, 40]));
  assertFrame(FRAMES[6][0], payload("abc"), to("10.0.0.5", 9999));
  assertFrame(FRAMES[9][0], arpRequest("10.0.0.5", "10.0.0.4"));
});

Deno.test("assertFrame: a failure says all that is wrong and shows the packet", () => {
  const error = assertThrows(
    () => assertFrame(SYN_ACK, flags("S"), ack(3), mss(536), sack([1, 2]), withoutOptions(8), payload("x")),
    AssertionError,
  );
  assertEquals(
    error.message,
    "frame: expected flags [S], got [S.]; expected ack 3, got 2; expected mss 536, got 1460; expected option sack; " +
      `expected no option 8; expected payload length 1, got 0\n  ${FRAMES[0][1]}`,
  );
  assertThrows(() => assertFrame(null, flags("S")), AssertionError, "Expected a frame, got none");
  assertThrows(
    () => assertFrameWith({ what: "SYN" }, FRAMES[9][0], flags("S")),
    AssertionError,
    "SYN: expected TCP",
  );
  assertThrows(() => parseFlags("X"), RangeError, "Cannot read flags 'X'");
});
