/**
 * Two stacks over a random network, driven by random calls. Bytes in are bytes out, nothing is thrown, time never
 * stands still and no transfer outlives an hour. LVLIP_FUZZ_SEED repeats a run.
 */
import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import { EBADF } from "../../lib/errno.ts";
import { Random } from "../../lib/impair/random.ts";
import {
  IPPROTO_TCP,
  SHUT_RDWR,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SO_SNDBUF,
  SocketKind,
  SOL_SOCKET,
} from "../../lib/stack/socket_types.ts";
import { callArbitrary, Programs } from "./random_calls.ts";
import { check, FUZZ_SEED, impairArbitrary } from "../support/fuzz.ts";
import { checkInvariants, watchFlight } from "../support/invariants.ts";
import { type Host, Link, type LinkOptions } from "../support/link.ts";
import { connect, Talker, transfer } from "../support/transfer.ts";

const HOUR_US = 3600e6;
/** No transfer is that unlucky: what takes longer will never end. */
const DAY_US = 24 * HOUR_US;
/** A connection that is given up after fifteen losses in a row has not come to a deadlock, it has bad luck. */
const PATIENT = { retries: 200, orphanRetries: 200 };
const TCP_NODELAY = 1;
const TCP_CORK = 3;
const TCP_QUICKACK = 12;

console.log(`LVLIP_FUZZ_SEED=${FUZZ_SEED}`);

type Step =
  | { op: "write"; side: 0 | 1; count: number }
  | { op: "read"; side: 0 | 1; count: number }
  | { op: "wait"; us: number }
  | { op: "option"; side: 0 | 1; option: [level: number, name: number]; value: number };

const side = fc.constantFrom<0 | 1>(0, 1);
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("write" as const),
      side,
      count: fc.integer({ min: 1, max: 20_000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("read" as const),
      side,
      count: fc.integer({ min: 1, max: 20_000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant("wait" as const), us: fc.integer({ min: 1, max: 2_000_000 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("option" as const),
      side,
      option: fc.constantFrom<[number, number]>(
        [IPPROTO_TCP, TCP_NODELAY],
        [IPPROTO_TCP, TCP_CORK],
        [IPPROTO_TCP, TCP_QUICKACK],
        [SOL_SOCKET, SO_KEEPALIVE],
        [SOL_SOCKET, SO_SNDBUF],
        [SOL_SOCKET, SO_RCVBUF],
      ),
      value: fc.integer({ min: 0, max: 100_000 }),
    }),
  },
);

/** What the two stacks may differ in, and what their devices may do. */
const hostArbitrary: fc.Arbitrary<LinkOptions["tcp"]> = fc.record({
  sack: fc.boolean(),
  timestamps: fc.boolean(),
  windowScaling: fc.boolean(),
  ecn: fc.constantFrom(0, 1, 2),
  congestion: fc.constantFrom("cubic", "reno"),
  rack: fc.boolean(),
  tailLossProbe: fc.boolean(),
  frto: fc.boolean(),
  slowStartAfterIdle: fc.boolean(),
  receiveBuffer: fc.constantFrom(2048, 10_000, 65536),
  receiveBufferMax: fc.constantFrom(65536, 6 << 20),
  sendBuffer: fc.constantFrom(4608, 256 << 10),
}, { requiredKeys: [] });

const hostsArbitrary = fc.record({
  mtu: fc.constantFrom(1500, 1500, 576, 9000),
  features: fc.constantFrom(undefined, { checksum: true, segmentation: true }, {
    checksum: true,
    segmentation: false,
  }),
  tcpA: hostArbitrary,
  tcpB: hostArbitrary,
});

/**
 * Without SACK or timestamps nothing measures the round trip while much is lost, and the RTO stays where backing off has
 * brought it (RFC 6298 5.7): two minutes for each loss. So such a network loses less.
 */
const linkArbitrary: fc.Arbitrary<LinkOptions> = hostsArbitrary.chain((hosts) => {
  const isPlain = [hosts.tcpA, hosts.tcpB].some((tcp) => tcp?.sack === false || tcp?.timestamps === false);
  return impairArbitrary(isPlain ? 3 : 30).map((impair) => ({ ...hosts, impair }));
});

/** Mostly a few segments, now and then enough for windows to open and close. */
const sizeArbitrary = fc.oneof(
  { weight: 9, arbitrary: fc.nat(60_000) },
  { weight: 1, arbitrary: fc.noBias(fc.nat(1_000_000)) },
);

Deno.test("random network, random reads, writes, pauses and options: bytes in are bytes out", () => {
  const property = fc.property(
    linkArbitrary,
    fc.tuple(sizeArbitrary, sizeArbitrary),
    fc.array(stepArbitrary, { maxLength: 30 }),
    fc.nat(),
    (options, [bytes, bytesBack], steps, seed) => {
      const link = new Link({ ...options, seed, tcp: PATIENT, turns: seed % 2 === 0 });
      watchFlight(link);
      const { client, server } = connect(link);
      const talkers = [
        new Talker(link.a, client, bytes, bytesBack),
        new Talker(link.b, server, bytesBack, bytes, 65536, true),
      ];
      const hosts = [link.a, link.b];
      for (const step of steps) {
        if (step.op === "wait") link.runFor(step.us);
        else if (step.op === "write") talkers[step.side].write(link.now, step.count);
        else if (step.op === "read") talkers[step.side].read(link.now, step.count);
        else {
          const [level, name] = step.option;
          hosts[step.side].stack.setOption(talkers[step.side].handle, level, name, step.value, link.now);
        }
        link.settle();
        checkInvariants(link);
      }
      const end = () => {
        for (const talker of talkers) talker.pump(link.now);
        checkInvariants(link);
        return talkers.every((talker) => talker.done);
      };
      link.runUntil(end, DAY_US, "the transfer");
    },
  );
  check(property, 400);
});

Deno.test("1 MB at 30 % loss each way takes less than an hour", () => {
  // The same each time: how long is a matter of luck, and the unluckiest of thousands would take longer.
  for (let seed = 1; seed <= 20; seed++) {
    const link = new Link({ impair: `loss=30% seed=${seed}`, seed });
    watchFlight(link);
    transfer(link, { bytes: 1 << 20, limitUs: HOUR_US });
  }
});

Deno.test("1 MB at 30 % loss each way always arrives", () => {
  const random = new Random(FUZZ_SEED);
  for (let run = 0; run < 20; run++) {
    const link = new Link({ impair: `loss=30% seed=${random.next()}`, seed: random.next(), tcp: PATIENT });
    watchFlight(link);
    transfer(link, { bytes: 1 << 20, limitUs: DAY_US });
  }
});

Deno.test("random calls on random sockets: nothing is thrown, and closed stacks come to rest and work again", () => {
  let established = 0;
  const property = fc.property(
    fc.oneof(fc.constant("delay=1ms"), impairArbitrary(20)),
    fc.array(callArbitrary, { minLength: 1, maxLength: 150, size: "max" }),
    fc.nat(),
    (impair, calls, seed) => {
      const link = new Link({ impair, seed });
      watchFlight(link);
      const programs = new Programs(link);
      for (const call of calls) programs.run(call);
      established += programs.established;
      programs.closeAll();
      link.runFor(2 * HOUR_US);
      for (const host of [link.a, link.b]) assertRests(host);
      transfer(link, { bytes: 10_000, bytesBack: 10_000, port: 9 });
    },
  );
  const runs = check(property, 300);
  assert(
    established > runs / 3,
    `only ${established} connections were made: the calls are not random enough`,
  );
});

/** No socket, connection or buffer is left. */
function assertRests({ stack, name }: Host): void {
  assertEquals([...stack.sockets()], [], `${name} has sockets left`);
  assertEquals([...stack.connections()].length, 0, `${name} has connections left`);
  assertEquals(stack.bufferedBytes, 0, `${name} has buffers left`);
}

Deno.test("a handle that was never given, or was closed, answers EBADF to every call", () => {
  const link = new Link();
  const { stack } = link.a;
  const closed = stack.socket(SocketKind.stream);
  stack.close(closed, link.now);
  const buffer = new Uint8Array(1);
  for (const handle of [closed, -1, 99_999, 0x7fffffff]) {
    assertEquals(stack.bind(handle, 0, 1), -EBADF);
    assertEquals(stack.listen(handle, 1), -EBADF);
    assertEquals(stack.connect(handle, link.b.address, 1, link.now), -EBADF);
    assertEquals(stack.accept(handle), -EBADF);
    assertEquals(stack.send(handle, buffer, 0, 1, link.now), -EBADF);
    assertEquals(stack.receive(handle, buffer, 0, 1, link.now), -EBADF);
    assertEquals(stack.shutdown(handle, SHUT_RDWR, link.now), -EBADF);
    assertEquals(stack.close(handle, link.now), -EBADF);
    assertEquals(stack.abort(handle, link.now), -EBADF);
    assertEquals(stack.setOption(handle, IPPROTO_TCP, TCP_NODELAY, 1, link.now), -EBADF);
    assertEquals(stack.getOption(handle, IPPROTO_TCP, TCP_NODELAY), -EBADF);
  }
});
