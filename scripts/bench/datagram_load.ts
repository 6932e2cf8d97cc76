/** Sends or receives UDP datagrams, on the stack's own calls: what peer/datagrams.c does on a kernel. */
import { EAGAIN } from "../../lib/errno.ts";
import {
  Datagram,
  SO_RCVBUF,
  SocketKind,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from "../../lib/stack/stack.ts";
import { parseIp } from "../../lib/wire/address.ts";
import type { Application, Turn } from "./application.ts";

const PORT = 7005;
const MOST = 65507;
const RECEIVE_BUFFER = 4 << 20;
/** Messages before the others have their turn. */
const BUDGET = 64;

export class DatagramLoad {
  readonly #message = new Datagram();
  #bytes = 0;
  #messages = 0;
  #startUs = 0;
  #endUs = Infinity;

  constructor(readonly application: Application) {}

  /** `text`: "send HOST BYTES 0|1 SECONDS" or "receive ADDRESS 0|1 WARM-UP SECONDS", see peer/main.c. */
  start(text: string, now: number): void {
    const [command, address, ...numbers] = text.trim().split(" ");
    const handle = this.application.stack.socket(SocketKind.datagram);
    this.#bytes = this.#messages = 0;
    this.#endUs = Infinity;
    const [first, second, third] = numbers.map(Number);
    if (command === "send") this.#beginSending(handle, parseIp(address)!, first, second === 1, third, now);
    else this.#beginReceiving(handle, parseIp(address)!, first, [second, third], now);
  }

  #beginSending(
    handle: number,
    address: number,
    size: number,
    isAtOnce: boolean,
    seconds: number,
    now: number,
  ): void {
    const { application } = this;
    const message = this.#message;
    message.address = address;
    message.port = PORT;
    message.ttl = 0;
    message.tos = -1;
    message.length = isAtOnce ? MOST - MOST % size : size;
    if (isAtOnce) application.stack.setOption(handle, SOL_UDP, UDP_SEGMENT, size, now);
    this.#startUs = now;
    this.#until(handle, now + seconds * 1e6);
    application.add(handle, this.#send);
    application.ready(handle);
  }

  readonly #send: Turn = (handle, now) => {
    for (let i = 0; i < BUDGET; i++) {
      const sent = this.application.stack.sendTo(handle, this.#message, now);
      if (sent === -EAGAIN) return false;
      if (sent > 0) this.#bytes += sent;
    }
    return true;
  };

  #beginReceiving(
    handle: number,
    address: number,
    merges: number,
    [warmUp, seconds]: [number, number],
    now: number,
  ): void {
    const { stack } = this.application;
    stack.setOption(handle, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER, now);
    stack.setOption(handle, SOL_UDP, UDP_GRO, merges, now);
    stack.bind(handle, address, PORT);
    this.application.add(handle, (handle, now) => {
      if (this.#endUs === Infinity) {
        this.#startUs = now + warmUp * 1e6;
        this.#until(handle, this.#startUs + seconds * 1e6);
      }
      return this.#receive(handle, now);
    });
  }

  readonly #receive: Turn = (handle, now) => {
    for (let i = 0; i < BUDGET; i++) {
      const length = this.application.stack.receiveFrom(handle, this.#message);
      if (length < 0) return false;
      if (now < this.#startUs) continue;
      this.#bytes += length;
      this.#messages++;
    }
    return true;
  };

  /** Reports at `endUs`. */
  #until(handle: number, endUs: number): void {
    const { application } = this;
    this.#endUs = endUs;
    application.deadline = endUs;
    application.onDeadline = (now) => {
      application.deadline = Infinity;
      application.end(handle, now);
      const seconds = (endUs - this.#startUs) / 1e6;
      console.log(JSON.stringify({ bytes: this.#bytes, seconds, messages: this.#messages }));
    };
  }
}
