/** `lvl-ip forward`: ports of the stack to sockets of the host, and ports of the host to hosts behind the stack. */
import type { ForwardRule, Target } from "./arguments.ts";
import { CommandError, EXIT, explain } from "./errors.ts";
import { untilInterrupted } from "./interrupt.ts";
import type { Io } from "./output.ts";
import { DatagramRelay, relay } from "./relay.ts";
import { hostSide, type Side, stackSide, type TcpListener, type TcpStream } from "./sides.ts";

export interface ForwardOptions {
  /** Rules from the host to the stack. */
  reverse?: ForwardRule[];
  verbose?: boolean;
  json?: boolean;
  socket?: string;
}

/** Pause after an accept that failed for want of descriptors, milliseconds. */
const ACCEPT_RETRY_MS = 100;

/** Runs the command until Ctrl-C. Throws when a port cannot be had or the daemon ends. */
export function forward(
  rules: ForwardRule[],
  options: ForwardOptions,
  io: Io,
  stack: Side = stackSide(options.socket),
  host: Side = hostSide,
): Promise<number> {
  if (rules.length === 0 && !options.reverse?.length) {
    throw new CommandError("Nothing to forward", "try lvl-ip forward 8080:127.0.0.1:80", EXIT.usage);
  }
  return untilInterrupted(io, async (signal) => {
    const report = new Report(options, io);
    const closers: (() => void)[] = [];
    const close = () => {
      for (const each of closers.splice(0)) each();
    };
    const directions = [
      ...rules.map((rule) => ({ rule, from: stack, to: host })),
      ...(options.reverse ?? []).map((rule) => ({ rule, from: host, to: stack })),
    ];
    try {
      const running: (() => Promise<never>)[] = [];
      // All ports are had before anything is forwarded.
      for (const direction of directions) running.push(await begin(direction, signal, report, closers));
      signal.addEventListener("abort", close);
      signal.throwIfAborted();
      return await Promise.race(running.map((run) => run()));
    } finally {
      signal.removeEventListener("abort", close);
      close();
      await report.settled();
    }
  }, EXIT.success);
}

interface Direction {
  rule: ForwardRule;
  from: Side;
  to: Side;
}

async function begin(
  direction: Direction,
  signal: AbortSignal,
  report: Report,
  closers: (() => void)[],
): Promise<() => Promise<never>> {
  const { rule, from, to } = direction;
  if (rule.transport === "udp") {
    const socket = await from.bindDatagrams(rule.listen);
    closers.push(() => socket.close());
    const complain = (peer: Deno.NetAddr, error: unknown) => report.failed(direction, peer, error);
    return () => {
      report.listening(direction, socket.addr);
      return new DatagramRelay(socket, () => to.connectDatagrams(rule.to), complain).run();
    };
  }
  const listener = await from.listen(rule.listen);
  closers.push(() => listener.close());
  return () => {
    report.listening(direction, listener.addr);
    return serve(listener, direction, signal, report);
  };
}

/** Takes connections until the listener is closed or its side is gone. */
async function serve(
  listener: TcpListener,
  direction: Direction,
  signal: AbortSignal,
  report: Report,
): Promise<never> {
  for (;;) {
    let connection: TcpStream;
    try {
      connection = await listener.accept();
    } catch (error) {
      if (signal.aborted || !isTransient(error)) throw error;
      report.complain(error);
      await new Promise((resolve) => setTimeout(resolve, ACCEPT_RETRY_MS));
      continue;
    }
    report.track(carryConnection(connection, direction, signal, report));
  }
}

/** Too many open files, here or in the system: some will be closed. */
function isTransient(error: unknown): boolean {
  return error instanceof Error && /os error (?:23|24)\b/.test(error.message);
}

async function carryConnection(
  connection: TcpStream,
  direction: Direction,
  signal: AbortSignal,
  report: Report,
): Promise<void> {
  const peer = connection.remoteAddr;
  let other: TcpStream;
  try {
    other = await direction.to.connect(direction.rule.to, signal);
  } catch (error) {
    connection.close();
    if (!signal.aborted) report.failed(direction, peer, error);
    return;
  }
  report.opened(direction, peer);
  try {
    report.closed(direction, peer, await relay(connection, other, signal));
  } catch (error) {
    report.broke(direction, peer, error);
  }
}

/** Tells what happens, and knows what is under way. */
class Report {
  readonly #running = new Set<Promise<void>>();

  constructor(readonly options: ForwardOptions, readonly io: Io) {}

  track(work: Promise<void>): void {
    this.#running.add(work);
    work.then(() => this.#running.delete(work));
  }

  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  listening({ rule, from, to }: Direction, { hostname, port }: Deno.NetAddr): void {
    const address = `${hostname === "0.0.0.0" ? "*" : hostname}:${port}`;
    const target = nameOf(rule.to);
    const suffix = rule.transport === "udp" ? " (UDP)" : "";
    this.#print(
      { event: "listening", transport: rule.transport, side: from.name, address: hostname, port, to: target },
      `Forwarding ${address} of the ${from.name} to ${target} of the ${to.name}${suffix}`,
    );
  }

  opened({ rule }: Direction, peer: Deno.NetAddr): void {
    this.#note(
      { event: "opened", from: nameOfAddr(peer), to: nameOf(rule.to) },
      () => `${nameOfAddr(peer)} to ${nameOf(rule.to)}: open`,
    );
  }

  closed({ rule }: Direction, peer: Deno.NetAddr, { forth, back }: { forth: number; back: number }): void {
    const facts = { event: "closed", from: nameOfAddr(peer), to: nameOf(rule.to), forth, back };
    this.#note(
      facts,
      () => `${nameOfAddr(peer)} to ${nameOf(rule.to)}: closed, ${forth} bytes forth, ${back} back`,
    );
  }

  failed({ rule }: Direction, peer: Deno.NetAddr, error: unknown): void {
    const why = explain(error);
    if (this.options.json) {
      this.#print({ event: "failed", from: nameOfAddr(peer), to: nameOf(rule.to), error: why }, "");
    } else this.complain(`${nameOfAddr(peer)} to ${nameOf(rule.to)}: ${why}`);
  }

  broke({ rule }: Direction, peer: Deno.NetAddr, error: unknown): void {
    const why = explain(error);
    const facts = { event: "broke", from: nameOfAddr(peer), to: nameOf(rule.to), error: why };
    this.#note(facts, () => `${nameOfAddr(peer)} to ${nameOf(rule.to)}: ${why}`);
  }

  complain(error: unknown): void {
    this.io.complain(`${this.io.errorStyle.red("lvl-ip:")} ${explain(error)}\n`);
  }

  #note(facts: object, text: () => string): void {
    if (this.options.json) this.#print(facts, "");
    else if (this.options.verbose) this.io.complain(`${this.io.errorStyle.dim(text())}\n`);
  }

  #print(facts: object, text: string): void {
    this.io.print(this.options.json ? `${JSON.stringify(facts)}\n` : `${text}\n`);
  }
}

function nameOf({ host, port }: Target): string {
  return `${host}:${port}`;
}

function nameOfAddr({ hostname, port }: Deno.NetAddr): string {
  return `${hostname}:${port}`;
}
