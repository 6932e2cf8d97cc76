/** The stack and the host's own sockets behind one interface, so that what forwards between them does so both ways. */
import * as client from "../ipc/client.ts";
import type { Target } from "./arguments.ts";
import { HostDatagrams } from "./host_datagrams.ts";

/** A TCP connection of either side. */
export type TcpStream = Pick<
  client.Connection,
  "read" | "write" | "closeWrite" | "close" | "localAddr" | "remoteAddr"
>;

export interface TcpListener {
  readonly addr: Deno.NetAddr;
  accept(): Promise<TcpStream>;
  close(): void;
}

/** Datagrams of either side. */
export type Datagrams = Pick<client.DatagramConn, "addr" | "receive" | "send" | "close">;

export interface Side {
  readonly name: "stack" | "host";
  listen(where: Target): Promise<TcpListener>;
  connect(where: Target, signal?: AbortSignal): Promise<TcpStream>;
  /** A socket that hears everybody. */
  bindDatagrams(where: Target): Promise<Datagrams>;
  /** A socket with one peer. */
  connectDatagrams(where: Target): Promise<Datagrams>;
}

/** The sockets of the daemon's stack. */
export function stackSide(socketPath?: string): Side {
  return {
    name: "stack",
    listen: ({ host: hostname, port }) => client.listen({ hostname, port, socketPath }),
    connect: ({ host: hostname, port }, signal) => client.connect({ hostname, port, signal, socketPath }),
    bindDatagrams: ({ host: hostname, port }) => client.listenDatagram({ hostname, port, socketPath }),
    connectDatagrams: ({ host: hostname, port }) =>
      client.listenDatagram({ remote: { hostname, port }, socketPath }),
  };
}

/** The kernel's sockets. */
export const hostSide: Side = {
  name: "host",
  listen: ({ host: hostname, port }) =>
    naming(`Cannot listen on ${hostname}:${port}`, listenOnHost(hostname, port)),
  connect: ({ host: hostname, port }, signal) =>
    naming(`Cannot connect to ${hostname}:${port}`, connectOnHost(hostname, port, signal)),
  bindDatagrams: ({ host, port }) =>
    naming(`Cannot receive on ${host}:${port}`, HostDatagrams.bind(host, port)),
  connectDatagrams: ({ host, port }) =>
    naming(`Cannot send to ${host}:${port}`, HostDatagrams.connect(host, port)),
};

// deno-lint-ignore require-await
async function listenOnHost(hostname: string, port: number): Promise<TcpListener> {
  const listener = Deno.listen({ hostname, port });
  return {
    addr: listener.addr as Deno.NetAddr,
    accept: async () => new HostStream(await listener.accept()),
    close: () => listener.close(),
  };
}

async function connectOnHost(hostname: string, port: number, signal?: AbortSignal): Promise<TcpStream> {
  return new HostStream(await Deno.connect({ hostname, port, signal }));
}

/** Deno's own connection, which may be closed twice, as the stack's. */
class HostStream implements TcpStream {
  #isClosed = false;

  constructor(readonly connection: Deno.TcpConn) {}

  get localAddr(): Deno.NetAddr {
    return this.connection.localAddr;
  }

  get remoteAddr(): Deno.NetAddr {
    return this.connection.remoteAddr;
  }

  read(bytes: Uint8Array): Promise<number | null> {
    return this.connection.read(bytes);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.connection.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.connection.closeWrite();
  }

  close(): void {
    if (!this.#isClosed) this.connection.close();
    this.#isClosed = true;
  }
}

/** Says what failed, as errors of the stack's side do; the class and errno's name stay. */
async function naming<T>(what: string, step: Promise<T>): Promise<T> {
  try {
    return await step;
  } catch (error) {
    if (!(error instanceof Error) || error.name === "AbortError") throw error;
    // "Connection refused (os error 111)"
    const why = error.message.replace(/^\w+ (?=E[A-Z]+ )/, "").replace(/ \(os error \d+\)$/, "");
    const Class = error.constructor as new (message: string) => Error;
    const named = new Class(`${what}: ${why.charAt(0).toLowerCase()}${why.slice(1)}`);
    const code: unknown = "code" in error ? error.code : undefined;
    throw typeof code === "string" ? Object.assign(named, { code }) : named;
  }
}
