/** Programs on two hosts that make calls without sense, for the fuzz of TCP. */
import fc from "fast-check";
import { assert, assertEquals } from "@std/assert";
import { Slices } from "../../lib/buffer/memory.ts";
import {
  Datagram,
  IPPROTO_IP,
  IPPROTO_TCP,
  SO_TYPE,
  SocketKind,
  SocketName,
  SOL_SOCKET,
} from "../../lib/stack/socket_types.ts";
import { checkInvariants } from "../support/invariants.ts";
import type { Link } from "../support/link.ts";

/** One call with what may be any handle and any argument, on one of the stacks. */
export interface Call {
  host: 0 | 1;
  name: string;
  pick: number;
  value: number;
}

/** How often each call is made beside the others. */
const CALLS: Record<string, number> = {
  socket: 1,
  bind: 1,
  listen: 1,
  connect: 1,
  open: 4,
  cross: 1,
  accept: 5,
  send: 8,
  reserve: 2,
  receive: 8,
  peek: 2,
  sendTo: 2,
  receiveFrom: 2,
  shutdown: 2,
  close: 2,
  abort: 1,
  option: 3,
  getOption: 1,
  name: 1,
  error: 1,
  info: 1,
  nextReady: 2,
  wait: 8,
};

export const callArbitrary: fc.Arbitrary<Call> = fc.record({
  host: fc.constantFrom<0 | 1>(0, 1),
  name: fc.oneof(
    ...Object.entries(CALLS).map(([name, weight]) => ({ weight, arbitrary: fc.constant(name) })),
  ),
  // Left to itself fast-check prefers the ends of a range: the same few sockets and sizes again and again.
  pick: fc.noBias(fc.integer({ min: 0, max: 1000 })),
  value: fc.oneof(fc.integer({ min: 0, max: 100_000 }), fc.noBias(fc.integer({ min: 0, max: 100_000 }))),
});

/** Of raw sockets: one for experiments (RFC 3692). */
const PROTOCOL = 253;

/** A program on each host that makes calls without looking at what they answer. */
export class Programs {
  readonly #link: Link;
  readonly #handles: [number[], number[]] = [[], []];
  readonly #listeners: [number[], number[]] = [[], []];
  readonly #buffer = new Uint8Array(100_001);
  readonly #slices = new Slices();
  readonly #message = new Datagram();
  readonly #name = new SocketName();
  /** Connections that were made, for the test's own sake. */
  established = 0;

  constructor(link: Link) {
    this.#link = link;
    for (const [host, { stack }] of [link.a, link.b].entries()) {
      for (const port of [1, 2]) {
        const listener = stack.socket(SocketKind.stream);
        stack.bind(listener, 0, port);
        stack.listen(listener, 3);
        this.#listeners[host].push(listener);
      }
      for (const kind of [SocketKind.datagram, SocketKind.icmp, SocketKind.raw]) {
        const handle = stack.socket(kind, PROTOCOL);
        stack.bind(handle, 0, 1);
        this.#handles[host].push(handle);
      }
    }
  }

  run(call: Call): void {
    const result = this.#calls(call)[call.name]();
    if (typeof result === "number") assert(Number.isInteger(result), `${call.name} answered ${result}`);
    this.#link.settle();
    checkInvariants(this.#link);
  }

  #calls({ host, pick, value }: Call): Record<string, () => number | void> {
    const { now } = this.#link;
    const [{ stack }, peer] = host === 0 ? [this.#link.a, this.#link.b] : [this.#link.b, this.#link.a];
    const handles = this.#handles[host];
    const listener = this.#listeners[host][pick % 2];
    // Now and then a handle that nobody gave, and one of the listeners, or they would all be closed soon.
    const held = pick % 40 === 0 ? listener : handles[pick % handles.length] ?? -1;
    const handle = pick < 30 ? value : held;
    const port = 1 + value % 3;
    const { stream, datagram, icmp, raw } = SocketKind;
    const kind = [stream, stream, stream, datagram, icmp, raw][value % 6];
    const level = [SOL_SOCKET, IPPROTO_TCP, IPPROTO_TCP, IPPROTO_IP][pick % 4];
    const isStream = () => stack.getOption(handle, SOL_SOCKET, SO_TYPE) === SocketKind.stream;
    return {
      socket: () => this.#keep(host, stack.socket(kind, PROTOCOL)),
      bind: () => stack.bind(handle, value % 5 === 0 ? peer.address : 0, port),
      listen: () => stack.listen(handle, value % 4),
      connect: () => stack.connect(handle, value % 7 === 0 ? 0 : peer.address, port, now),
      open: () => this.#open(host, 0, port),
      cross: () => {
        // Both ends at once (RFC 9293 figure 8); now and then a host to itself.
        this.#open(host, 5000 + value % 4, 5000 + value % 4);
        if (value % 3 > 0) this.#open(1 - host, 5000 + value % 4, 5000 + value % 4);
      },
      accept: () => {
        const accepted = this.#keep(host, stack.accept(pick % 5 === 0 ? handle : listener));
        if (accepted >= 0) this.established++;
      },
      send: () => stack.send(handle, this.#buffer, 0, value, now),
      reserve: () => {
        const room = stack.reserve(handle, value, this.#slices);
        if (room >= 0) assertEquals(this.#slices.length, room);
        return room > 0 ? stack.commit(handle, pick % (room + 1), now) : room;
      },
      receive: () => stack.receive(handle, this.#buffer, 0, value + 1, now),
      peek: () => {
        const length = stack.peek(handle, value, this.#slices);
        if (length > 0) stack.consume(handle, pick % (length + 1), now);
        return length;
      },
      sendTo: () => this.#sendTo(host, handle, peer.address, value),
      receiveFrom: () => stack.receiveFrom(handle, this.#message),
      shutdown: () => stack.shutdown(handle, (value % 3) as 0 | 1 | 2, now),
      close: () => this.#forget(handles, handle, stack.close(handle, now)),
      abort: () => this.#forget(handles, handle, stack.abort(handle, now)),
      option: () => stack.setOption(handle, level, value % 46, pick % 3 === 0 ? value : value % 5, now),
      getOption: () => void stack.getOption(handle, level, value % 46),
      name: () => stack.name(handle, this.#name),
      error: () => void stack.takeError(handle),
      info: () => void (isStream() && stack.info(handle)),
      nextReady: () => void stack.nextReady(),
      // Mostly a round trip or so; sometimes minutes.
      wait: () => this.#link.runFor(value * (pick % 10 === 0 ? pick : 1 + pick % 9)),
    };
  }

  closeAll(): void {
    for (const [index, { stack }] of [this.#link.a, this.#link.b].entries()) {
      for (const handle of [...this.#handles[index], ...this.#listeners[index]]) {
        stack.close(handle, this.#link.now);
      }
    }
  }

  #open(host: number, localPort: number, port: number): void {
    const [own, peer] = host === 0 ? [this.#link.a, this.#link.b] : [this.#link.b, this.#link.a];
    const handle = this.#keep(host, own.stack.socket(SocketKind.stream));
    if (localPort > 0) own.stack.bind(handle, 0, localPort);
    own.stack.connect(handle, peer.address, port, this.#link.now);
  }

  #sendTo(host: number, handle: number, address: number, value: number): number {
    const message = this.#message;
    message.address = value % 9 === 0 ? 0 : address;
    message.port = value % 3;
    message.offset = 0;
    message.length = value % 65536;
    message.ttl = value % 256;
    message.bytes.fill(0, 0, 8);
    message.bytes[0] = 8;
    return [this.#link.a, this.#link.b][host].stack.sendTo(handle, message, this.#link.now);
  }

  #keep(host: number, handle: number): number {
    if (handle >= 0) this.#handles[host].push(handle);
    return handle;
  }

  #forget(handles: number[], handle: number, result: number): void {
    if (result >= 0 && handles.includes(handle)) handles.splice(handles.indexOf(handle), 1);
  }
}
