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
  SO_TYPE,
  SocketKind,
  SOL_SOCKET,
} from "../../lib/stack/socket_types.ts";
import { check, FUZZ_SEED, impairArbitrary } from "../support/fuzz.ts";
import { checkInvariants } from "../support/invariants.ts";
import { type Host, Link } from "../support/link.ts";
import { connect, Talker, transfer } from "../support/transfer.ts";

const HOUR_US = 3600e6;
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

Deno.test("random network, random reads, writes, pauses and options: bytes in are bytes out", () => {
  const property = fc.property(
    impairArbitrary(),
    fc.tuple(fc.nat(60_000), fc.nat(60_000)),
    fc.array(stepArbitrary, { maxLength: 30 }),
    fc.nat(),
    (impair, [bytes, bytesBack], steps, seed) => {
      const link = new Link({ impair, seed });
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
      link.runUntil(end, HOUR_US, "the transfer");
    },
  );
  check(property, 60);
});

Deno.test("1 MB at 30 % loss each way never takes an hour", () => {
  const random = new Random(FUZZ_SEED);
  for (let run = 0; run < 4; run++) {
    const link = new Link({ impair: `loss=30% seed=${random.next()}`, seed: random.next() });
    transfer(link, { bytes: 1 << 20, limitUs: HOUR_US });
  }
});

/** One call with what may be any handle and any argument, on one of the stacks. */
interface Call {
  host: 0 | 1;
  name: string;
  pick: number;
  value: number;
}

const callArbitrary: fc.Arbitrary<Call> = fc.record({
  host: side,
  name: fc.constantFrom(
    ...[
      "socket",
      "socket",
      "bind",
      "listen",
      "connect",
      "connect",
      "accept",
      "accept",
      "send",
      "send",
      "receive",
    ],
    ...["receive", "shutdown", "close", "abort", "option", "getOption", "error", "info", "wait", "wait"],
  ),
  pick: fc.nat(1000),
  value: fc.nat(100_000),
});

/** A program that makes calls without looking at what they answer. */
class Program {
  readonly #link: Link;
  readonly #handles: [number[], number[]] = [[], []];
  readonly #buffer = new Uint8Array(100_001);

  constructor(link: Link) {
    this.#link = link;
  }

  run({ host, name, pick, value }: Call): void {
    const link = this.#link;
    const { stack } = [link.a, link.b][host];
    const handles = this.#handles[host];
    const peer = [link.b, link.a][host];
    const handle = handles.length > 0 ? handles[pick % handles.length] : -1;
    const port = 1 + value % 3;
    const kind = [SocketKind.stream, SocketKind.stream, SocketKind.datagram, SocketKind.icmp][value % 4];
    const calls: Record<string, () => number | void> = {
      socket: () => void this.#keep(handles, stack.socket(kind)),
      bind: () => stack.bind(handle, value % 5 === 0 ? peer.address : 0, port),
      listen: () => stack.listen(handle, value % 4),
      connect: () => stack.connect(handle, value % 7 === 0 ? 0 : peer.address, port, link.now),
      accept: () => void this.#keep(handles, stack.accept(handle)),
      send: () => stack.send(handle, this.#buffer, 0, value, link.now),
      receive: () => stack.receive(handle, this.#buffer, 0, value + 1, link.now),
      shutdown: () => stack.shutdown(handle, (value % 3) as 0 | 1 | 2, link.now),
      close: () => this.#forget(handles, handle, stack.close(handle, link.now)),
      abort: () => this.#forget(handles, handle, stack.abort(handle, link.now)),
      option: () => stack.setOption(handle, [1, 6, 0][pick % 3], value % 40, value, link.now),
      getOption: () => void stack.getOption(handle, [1, 6, 0][pick % 3], value % 40),
      error: () => void stack.takeError(handle),
      info: () =>
        void (stack.getOption(handle, SOL_SOCKET, SO_TYPE) === SocketKind.stream && stack.info(handle)),
      wait: () => link.runFor(value * (1 + pick)),
    };
    const result = calls[name]();
    if (typeof result === "number") assert(Number.isInteger(result), `${name} answered ${result}`);
    link.settle();
    checkInvariants(link);
  }

  closeAll(): void {
    for (const [index, { stack }] of [this.#link.a, this.#link.b].entries()) {
      for (const handle of this.#handles[index]) stack.close(handle, this.#link.now);
    }
  }

  #keep(handles: number[], handle: number): void {
    if (handle >= 0) handles.push(handle);
  }

  #forget(handles: number[], handle: number, result: number): void {
    if (result >= 0) handles.splice(handles.indexOf(handle), 1);
  }
}

Deno.test("random calls on random sockets: nothing is thrown, and closed stacks come to rest and work again", () => {
  const property = fc.property(
    impairArbitrary(20),
    fc.array(callArbitrary, { maxLength: 60, size: "max" }),
    fc.nat(),
    (impair, calls, seed) => {
      const link = new Link({ impair, seed });
      const program = new Program(link);
      for (const call of calls) program.run(call);
      program.closeAll();
      link.runFor(2 * HOUR_US);
      for (const host of [link.a, link.b]) assertRests(host);
      transfer(link, { bytes: 10_000, bytesBack: 10_000, port: 9 });
    },
  );
  check(property, 80);
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
