/** `lvl-ip socks`: a SOCKS proxy on the host whose connections and datagrams go through the stack. */
import { createHash, timingSafeEqual } from "node:crypto";
import { resolve } from "../ipc/client.ts";
import type { Target } from "./arguments.ts";
import { codeOf, CommandError, EXIT, explain } from "./errors.ts";
import { untilInterrupted } from "./interrupt.ts";
import type { Io } from "./output.ts";
import { relay } from "./relay.ts";
import { hostSide, type Side, stackSide, type TcpListener, type TcpStream } from "./sides.ts";
import { SocksAssociation } from "./socks_association.ts";
import {
  type Authenticate,
  COMMAND,
  encodeReply,
  readRequest,
  REPLY,
  type Reply,
  replyOf,
  type Request,
  SocksError,
  writeAll,
} from "./socks_protocol.ts";

export interface SocksOptions {
  listen: Target;
  /** NAME:PASSWORD, or @ and a file with one on each line. */
  auth?: string;
  verbose?: boolean;
  socket?: string;
}

/** How long a client may take to say what it wants, milliseconds. */
const REQUEST_MS = 30_000;
/** How long BIND waits for the connection, milliseconds. */
const BIND_MS = 60_000;
/** Pause after an accept that failed, milliseconds. */
const ACCEPT_RETRY_MS = 100;

/** Runs the command until Ctrl-C. Throws when the port cannot be had. */
export function socks(
  options: SocksOptions,
  io: Io,
  stack: Side = stackSide(options.socket),
  host: Side = hostSide,
): Promise<number> {
  return untilInterrupted(io, async (signal) => {
    const authenticate = await readAuth(options.auth);
    const listener = await host.listen(options.listen);
    const { hostname, port } = listener.addr;
    io.print(`SOCKS proxy listening on ${hostname}:${port}\n`);
    if (authenticate === null && !hostname.startsWith("127.")) {
      io.complain(`${io.errorStyle.dim(`Whoever reaches ${hostname}:${port} may use it; see --auth.`)}\n`);
    }
    return await new Proxy(options, io, stack, host, authenticate).serve(listener, signal);
  }, EXIT.success);
}

/** Who may use it: null for everybody. */
async function readAuth(auth: string | undefined): Promise<Authenticate> {
  if (auth === undefined) return null;
  const lines = auth.startsWith("@") ? await readLines(auth.slice(1)) : [auth];
  const known = new Map<string, Uint8Array>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon < 1) throw new CommandError(`--auth: '${line}' is no NAME:PASSWORD`, undefined, EXIT.usage);
    known.set(line.slice(0, colon), digest(line.slice(colon + 1)));
  }
  return (name, password) =>
    timingSafeEqual(digest(password), known.get(name) ?? digest("")) &&
    known.has(name);
}

/** Of equal length whatever the password, so that comparing them takes the same time. */
function digest(password: string): Uint8Array {
  return createHash("sha256").update(password).digest();
}

async function readLines(path: string): Promise<string[]> {
  try {
    return (await Deno.readTextFile(path)).split("\n").filter((line) => line !== "");
  } catch (error) {
    throw new CommandError(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`);
  }
}

class Proxy {
  readonly #running = new Set<Promise<void>>();

  constructor(
    readonly options: SocksOptions,
    readonly io: Io,
    readonly stack: Side,
    readonly host: Side,
    readonly authenticate: Authenticate,
  ) {}

  /** Until the signal comes. */
  async serve(listener: TcpListener, signal: AbortSignal): Promise<never> {
    const close = () => listener.close();
    signal.addEventListener("abort", close);
    try {
      for (;;) {
        let client: TcpStream;
        try {
          signal.throwIfAborted();
          client = await listener.accept();
        } catch (error) {
          if (signal.aborted) throw error;
          // Too many open files: some will be closed.
          this.#complain(error);
          await new Promise((resolve) => setTimeout(resolve, ACCEPT_RETRY_MS));
          continue;
        }
        const served = this.#serveAndTell(client, signal);
        this.#running.add(served);
        served.then(() => this.#running.delete(served));
      }
    } finally {
      signal.removeEventListener("abort", close);
      await Promise.all(this.#running);
    }
  }

  async #serveAndTell(client: TcpStream, signal: AbortSignal): Promise<void> {
    const { hostname, port } = client.remoteAddr;
    const close = () => client.close();
    signal.addEventListener("abort", close);
    try {
      await this.#serve(client, signal);
    } catch (error) {
      const isOurs = error instanceof SocksError;
      if (!signal.aborted && (isOurs || this.options.verbose)) {
        this.#complain(`${hostname}:${port}: ${explain(error)}`);
      }
    } finally {
      signal.removeEventListener("abort", close);
      client.close();
    }
  }

  async #serve(client: TcpStream, signal: AbortSignal): Promise<void> {
    const timer = setTimeout(() => client.close(), REQUEST_MS);
    let request: Request;
    try {
      request = await readRequest(client, this.authenticate);
    } finally {
      clearTimeout(timer);
    }
    const { version, command, target } = request;
    const refuse = (reply: Reply) => writeAll(client, encodeReply(version, reply));
    if (target === null) return await refuse(REPLY.addressTypeNotSupported);
    try {
      if (command === COMMAND.connect) return await this.#connect(client, target, version, signal);
      if (command === COMMAND.bind) return await this.#bind(client, target, version, signal);
      if (command === COMMAND.udpAssociate && version === 5) return await this.#associate(client, target);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await refuse(replyOf(codeOf(error.cause)));
      throw error.cause;
    }
    await refuse(REPLY.commandNotSupported);
  }

  async #connect(client: TcpStream, target: Target, version: 4 | 5, signal: AbortSignal): Promise<void> {
    if (target.port === 0) throw new Refused(new RangeError("There is no port 0 to connect to"));
    const stream = await orRefuse(this.stack.connect(target, signal));
    this.#note(client, "to", target);
    try {
      await writeAll(client, encodeReply(version, REPLY.succeeded, stream.localAddr));
      await relay(client, stream, signal);
    } finally {
      stream.close();
    }
  }

  /** Two replies: where the peer may connect to, then who did. Only the host that was named may. */
  async #bind(client: TcpStream, target: Target, version: 4 | 5, signal: AbortSignal): Promise<void> {
    const wanted = await orRefuse(this.#numeric(target.host));
    const listener = await orRefuse(this.stack.listen({ host: await this.#ownAddress(wanted), port: 0 }));
    let isOpen = true;
    const close = () => {
      if (isOpen) listener.close();
      isOpen = false;
    };
    const timer = setTimeout(close, BIND_MS);
    signal.addEventListener("abort", close);
    try {
      await writeAll(client, encodeReply(version, REPLY.succeeded, listener.addr));
      const stream = await orRefuse(this.#acceptFrom(listener, wanted));
      close();
      this.#note(client, "from", { host: stream.remoteAddr.hostname, port: stream.remoteAddr.port });
      await writeAll(client, encodeReply(version, REPLY.succeeded, stream.remoteAddr));
      await relay(client, stream, signal);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", close);
      close();
    }
  }

  async #acceptFrom(listener: TcpListener, address: string): Promise<TcpStream> {
    for (;;) {
      const stream = await listener.accept();
      if (address === ANY || stream.remoteAddr.hostname === address) return stream;
      stream.close();
    }
  }

  async #numeric(host: string): Promise<string> {
    const [address] = await resolve(host, { socketPath: this.options.socket });
    return address;
  }

  /** The address of the stack that `peer` sees it by. */
  async #ownAddress(peer: string): Promise<string> {
    if (peer === ANY) return ANY;
    const socket = await orRefuse(this.stack.connectDatagrams({ host: peer, port: 9 }));
    socket.close();
    return socket.addr.hostname;
  }

  /** Lives as long as the connection that asked for it. */
  async #associate(client: TcpStream, target: Target): Promise<void> {
    const near = await orRefuse(this.host.bindDatagrams({ host: client.localAddr.hostname, port: 0 }));
    try {
      const far = await orRefuse(this.stack.bindDatagrams({ host: ANY, port: 0 }));
      const association = new SocksAssociation(
        near,
        far,
        client.remoteAddr.hostname,
        target.port,
        (name) => this.#numeric(name),
      );
      this.#note(client, "with", { host: "datagrams", port: near.addr.port });
      try {
        association.start();
        await writeAll(client, encodeReply(5, REPLY.succeeded, near.addr));
        const bytes = new Uint8Array(256);
        while (await client.read(bytes) !== null);
      } finally {
        far.close();
      }
    } finally {
      near.close();
    }
  }

  #note(client: TcpStream, word: string, { host, port }: Target): void {
    if (!this.options.verbose) return;
    const { hostname, port: clientPort } = client.remoteAddr;
    this.io.complain(`${this.io.errorStyle.dim(`${hostname}:${clientPort} ${word} ${host}:${port}`)}\n`);
  }

  #complain(error: unknown): void {
    this.io.complain(`${this.io.errorStyle.red("lvl-ip:")} ${explain(error)}\n`);
  }
}

const ANY = "0.0.0.0";

/** What the client asked for came to nothing: it is told why. */
class Refused extends Error {
  constructor(override readonly cause: unknown) {
    super("refused");
  }
}

async function orRefuse<T>(step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    throw new Refused(error);
  }
}
