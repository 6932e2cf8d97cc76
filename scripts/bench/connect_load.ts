/** Connects and closes as often as it can, from the stack: what peer/connections.c does from the kernel. */
import { EAGAIN } from "../../lib/errno.ts";
import { SocketKind } from "../../lib/stack/stack.ts";
import { parseIp } from "../../lib/wire/address.ts";
import type { Application } from "./application.ts";

export class ConnectLoad {
  readonly #chunk = new Uint8Array(16);
  #host = 0;
  #port = 0;
  #fromUs = 0;
  #untilUs = 0;
  /** When each attempt began, by its handle. */
  readonly #beganUs = new Map<number, number>();
  #timesUs: number[] = [];

  constructor(readonly application: Application) {}

  /** `command`: "connections HOST PORT PARALLEL WARM-UP SECONDS". */
  start(command: string, now: number): void {
    const [, host, port, parallel, warmUp, seconds] = command.trim().split(" ");
    this.#host = parseIp(host)!;
    this.#port = Number(port);
    this.#fromUs = now + Number(warmUp) * 1e6;
    this.#untilUs = this.#fromUs + Number(seconds) * 1e6;
    this.#timesUs = [];
    this.application.deadline = this.#untilUs;
    this.application.onDeadline = () => this.#finish();
    for (let i = 0; i < Number(parallel); i++) this.#begin(now);
  }

  #begin(now: number): void {
    const { application } = this;
    const handle = application.stack.socket(SocketKind.stream);
    this.#beganUs.set(handle, now);
    application.add(handle, this.#turn);
    application.stack.connect(handle, this.#host, this.#port, now);
  }

  /** The server closes first: TIME-WAIT is the kernel's, which is told to keep few. */
  readonly #turn = (handle: number, now: number): boolean => {
    const { application } = this;
    const count = application.stack.receive(handle, this.#chunk, 0, this.#chunk.length, now);
    if (count === -EAGAIN) return false;
    if (count !== 0) throw new Error(`Cannot connect: the stack answered ${count}`);
    application.end(handle, now);
    const began = this.#beganUs.get(handle)!;
    this.#beganUs.delete(handle);
    if (now >= this.#fromUs) this.#timesUs.push(now - began);
    if (now < this.#untilUs) this.#begin(now);
    return false;
  };

  #finish(): void {
    this.application.deadline = Infinity;
    const times = this.#timesUs.sort((a, b) => a - b);
    const last = times.length - 1;
    const [p50, p90, p99] = [0.5, 0.9, 0.99].map((part) => times[Math.floor(last * part)]);
    const rate = times.length / ((this.#untilUs - this.#fromUs) / 1e6);
    console.log(JSON.stringify({ rate, p50, p90, p99, max: times[last] }));
  }
}
