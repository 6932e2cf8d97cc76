import { assert, assertEquals } from "@std/assert";
import { Memory, type Slices } from "../../lib/buffer/memory.ts";
import { EADDRINUSE, EAGAIN, ECONNREFUSED, EINPROGRESS, EMFILE } from "../../lib/errno.ts";
import { NameService } from "../../lib/ipc/name_service.ts";
import { defaultConfig, type ResolverConfig } from "../../lib/resolver/config.ts";
import { Hosts } from "../../lib/resolver/hosts.ts";
import { type NameAnswer, Outcome, Reason, RecordType } from "../../lib/resolver/types.ts";
import { type Datagram, READY_ERROR, READY_READ, READY_WRITE } from "../../lib/stack/socket_types.ts";
import { parseIp } from "../../lib/wire/address.ts";
import { FakeStack } from "./fake_stack.ts";

const SERVER = parseIp("10.0.0.1")!;

/** Sockets for queries: what was sent lies open, and what comes is put there. */
class QueryStack extends FakeStack {
  readonly queries = new Map<
    number,
    { kind: number; port: number; sent: number[]; inbox: number[][]; error: number }
  >();
  readonly ports: number[] = [];
  taken = new Set<number>();
  limit = Infinity;
  #memory = new Memory(4096);

  override socket(kind: 1 | 2 | 3 | 4 = 1): number {
    if (this.queries.size >= this.limit) return -EMFILE;
    const handle = this.add();
    this.queries.set(handle, { kind, port: 0, sent: [], inbox: [], error: 0 });
    return handle;
  }

  override bind(handle: number, _address: number, port: number): number {
    this.ports.push(port);
    if (this.taken.has(port)) return -EADDRINUSE;
    this.queries.get(handle)!.port = port;
    return 0;
  }

  override connect(handle: number): number {
    return this.queries.get(handle)!.kind === 1 ? -EINPROGRESS : 0;
  }

  override sendTo(handle: number, message: Datagram): number {
    this.queries.get(handle)!.sent.push(...message.bytes.subarray(0, message.length));
    return message.length;
  }

  override receiveFrom(handle: number, message: Datagram): number {
    const { inbox, error } = this.queries.get(handle)!;
    if (error !== 0) return -error;
    const bytes = inbox.shift();
    if (bytes === undefined) return -EAGAIN;
    message.bytes.set(bytes);
    message.offset = 0;
    message.length = bytes.length;
    message.address = SERVER;
    message.port = 53;
    return bytes.length;
  }

  override readiness(handle: number): number {
    const { inbox, error } = this.queries.get(handle)!;
    return (error === 0 ? 0 : READY_ERROR) | READY_WRITE | (inbox.length > 0 ? READY_READ : 0);
  }

  override reserve(_handle: number, max: number, slices: Slices): number {
    // In two pieces, with less room than was asked for.
    const room = Math.min(max, 20);
    Object.assign(slices, { memory: this.#memory, offset1: 100, length1: Math.min(7, room), offset2: 0 });
    slices.length2 = room - slices.length1;
    return room;
  }

  override commit(handle: number, length: number): number {
    const { bytes } = this.#memory;
    const first = Math.min(7, length);
    this.queries.get(handle)!.sent.push(
      ...bytes.subarray(100, 100 + first),
      ...bytes.subarray(0, length - first),
    );
    return length;
  }

  override peek(handle: number, _max: number, slices: Slices): number {
    const [next] = this.queries.get(handle)!.inbox;
    if (next === undefined) return -EAGAIN;
    this.#memory.bytes.set(next.slice(0, 3), 200);
    this.#memory.bytes.set(next.slice(3), 0);
    const length1 = Math.min(3, next.length);
    Object.assign(slices, { memory: this.#memory, offset1: 200, length1, offset2: 0 });
    slices.length2 = next.length - length1;
    return next.length;
  }

  override consume(handle: number): void {
    this.queries.get(handle)!.inbox.shift();
  }

  override close(handle: number): number {
    this.queries.delete(handle);
    return 0;
  }
}

function setUp(config: Partial<ResolverConfig> = {}) {
  const stack = new QueryStack();
  const complaints = { count: 0 };
  const source = {
    refresh: () => ({
      config: { ...defaultConfig(), servers: [{ address: SERVER, port: 53 }], ...config },
      hosts: new Hosts(),
    }),
    noServer: () => complaints.count++,
  };
  const random = () => crypto.getRandomValues(new Uint32Array(1))[0];
  return { stack, complaints, names: new NameService(stack, random, source) };
}

/** The query back as an answer without records, and with an SOA's absence: the name has no data. */
const answerTo = (
  query: number[],
) => [...query.slice(0, 2), 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, ...query.slice(12, -11)];

Deno.test("RFC 5452: every query leaves from a port of its own, anywhere above the privileged ones", () => {
  const { stack, names } = setUp();
  for (let i = 0; i < 200; i++) names.lookUp(`n${i}.example`, RecordType.A, 0, () => {});
  assertEquals(stack.queries.size, 200);
  assert(stack.ports.every((port) => port >= 1024 && port <= 65535));
  assert(new Set(stack.ports).size > 190);
  // Neither one after the other nor within a small range.
  const steps = stack.ports.slice(1).filter((port, i) => Math.abs(port - stack.ports[i]) < 64);
  assert(steps.length < 10);
});

Deno.test("a port that is taken is passed over, and a query without a socket goes to the next try", () => {
  const { stack, names } = setUp();
  let answer: NameAnswer | undefined;
  stack.taken = new Set(Array.from({ length: 65536 }, (_, port) => port));
  names.lookUp("www.example", RecordType.A, 0, (each) => answer = each);
  assert(stack.ports.length > 16);
  assertEquals([answer?.outcome, answer?.reason], [Outcome.tryAgain, Reason.timeout]);
  stack.taken.clear();
  stack.limit = 0;
  names.lookUp("www.example", RecordType.A, 0, (each) => answer = each);
  assertEquals([answer?.outcome, stack.queries.size], [Outcome.tryAgain, 0]);
});

Deno.test("answers come to whoever asked, sockets go, and one who went away is not told", () => {
  const { stack, names } = setUp();
  const told: string[] = [];
  names.lookUp("a.example", RecordType.A, 0, () => told.push("first"));
  const ticket = names.lookUp("a.example", RecordType.A, 0, () => told.push("second"));
  names.forget(ticket);
  const [[handle, socket]] = stack.queries;
  socket.inbox.push([1, 2, 3], answerTo(socket.sent));
  assert(names.ready(handle));
  assert(!names.work(0));
  assertEquals([told, stack.queries.size, names.deadline], [["first"], 0, Infinity]);
  assert(!names.ready(handle));
});

Deno.test("a server that refuses is not waited for", () => {
  const { stack, names } = setUp({ attempts: 1 });
  let answer: NameAnswer | undefined;
  names.lookUp("a.example", RecordType.A, 0, (each) => answer = each);
  const [[handle, socket]] = stack.queries;
  socket.error = ECONNREFUSED;
  names.ready(handle);
  names.work(0);
  assertEquals([answer?.outcome, stack.queries.size], [Outcome.tryAgain, 0]);
});

Deno.test("without a server whoever can mend it is told, and nobody for what needs none", () => {
  const { names, complaints } = setUp({ servers: [] });
  names.lookUp("localhost", RecordType.A, 0, () => {});
  assertEquals(complaints.count, 0);
  names.lookUp("a.example", RecordType.A, 0, () => {});
  assertEquals(complaints.count, 1);
});

Deno.test("TCP: queries go out as there is room, answers come in pieces", () => {
  const { stack, names } = setUp({ useTcp: true });
  let answer: NameAnswer | undefined;
  names.lookUp("a.example", RecordType.A, 0, (each) => answer = each);
  const [[handle, socket]] = stack.queries;
  for (let i = 0; i < 3; i++) {
    names.ready(handle);
    names.work(0);
  }
  const [high, low, ...query] = socket.sent;
  assertEquals((high << 8) | low, query.length);
  const response = answerTo(query);
  socket.inbox.push([0], [response.length, ...response.slice(0, 9)], response.slice(9));
  names.ready(handle);
  while (names.work(0));
  assertEquals([answer?.outcome, stack.queries.size], [Outcome.noData, 0]);
});
