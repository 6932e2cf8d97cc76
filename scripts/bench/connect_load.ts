/** Connects and closes as often as it can, from the stack: what peer/connections.c does from the kernel. */
import { EAGAIN } from "../../lib/errno.ts";
import { SocketKind } from "../../lib/stack/stack.ts";
import { parseIp } from "../../lib/wire/address.ts";
import type { Application } from "./application.ts";
import { type ConnectCommand, ConnectTimes, readCommand } from "./connect_times.ts";

export class ConnectLoad {
  readonly #chunk = new Uint8Array(16);
  #command!: ConnectCommand;
  #times!: ConnectTimes;
  /** When each attempt began, by its handle, microseconds. */
  readonly #beganUs = new Map<number, number>();

  constructor(readonly application: Application) {}

  /** `text`: see `ConnectCommand`. */
  start(text: string, now: number): void {
    const command = readCommand(text, now / 1000);
    this.#command = command;
    this.#times = new ConnectTimes(command);
    this.application.deadline = command.untilMs * 1000;
    this.application.onDeadline = () => this.#finish();
    for (let i = 0; i < command.parallel; i++) this.#begin(now);
  }

  #begin(now: number): void {
    const { application } = this;
    const handle = application.stack.socket(SocketKind.stream);
    this.#beganUs.set(handle, now);
    application.add(handle, this.#turn);
    application.stack.connect(handle, parseIp(this.#command.hostname)!, this.#command.port, now);
  }

  /** The server closes first: TIME-WAIT is the kernel's, which is told to keep few. */
  readonly #turn = (handle: number, now: number): boolean => {
    const { application } = this;
    const count = application.stack.receive(handle, this.#chunk, 0, this.#chunk.length, now);
    if (count === -EAGAIN) return false;
    if (count !== 0) throw new Error(`Cannot connect: the stack answered ${count}`);
    application.end(handle, now);
    this.#times.add(this.#beganUs.get(handle)! / 1000, now / 1000);
    this.#beganUs.delete(handle);
    if (now < this.#command.untilMs * 1000) this.#begin(now);
    return false;
  };

  #finish(): void {
    this.application.deadline = Infinity;
    console.log(this.#times.report());
  }
}
