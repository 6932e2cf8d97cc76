/** Carries what comes on one connection to another, and back. */
import type { Datagrams, TcpStream } from "./sides.ts";

/** Bytes read at once: about what lies in a Unix socket. */
const CHUNK = 256 * 1024;

/** What was carried, bytes. */
export interface Carried {
  /** From `a` to `b`, and back. */
  forth: number;
  back: number;
}

/**
 * Until both sides have ended: the end of one direction (FIN) is handed on while the other goes on, what one side does not
 * take is not read from the other. When one breaks both are closed, and the error is thrown. Closes both in any case.
 */
export async function relay(a: TcpStream, b: TcpStream, signal?: AbortSignal): Promise<Carried> {
  const close = () => {
    a.close();
    b.close();
  };
  signal?.addEventListener("abort", close);
  try {
    if (signal?.aborted) close();
    // The first error is the reason, others only follow from it.
    const errors: unknown[] = [];
    const guarded = async (from: TcpStream, to: TcpStream) => {
      try {
        return await carry(from, to);
      } catch (error) {
        errors.push(error);
        close();
        return 0;
      }
    };
    const [forth, back] = await Promise.all([guarded(a, b), guarded(b, a)]);
    if (errors.length > 0) throw errors[0];
    return { forth, back };
  } finally {
    signal?.removeEventListener("abort", close);
    close();
  }
}

async function carry(from: TcpStream, to: TcpStream): Promise<number> {
  const bytes = new Uint8Array(CHUNK);
  let total = 0;
  for (;;) {
    const count = await from.read(bytes);
    if (count === null) break;
    for (let done = 0; done < count;) done += await to.write(bytes.subarray(done, count));
    total += count;
  }
  await to.closeWrite();
  return total;
}

/** How long a peer that sends nothing is remembered, as conntrack does with a stream of datagrams (RFC 4787 4.3: 2 min). */
const IDLE_MS = 120_000;
/** Peers that are remembered at once. */
const MAX_PEERS = 1024;

/** What one peer of a datagram forward has on the other side. */
interface Association {
  socket: Datagrams;
  usedAt: number;
}

/** Carries datagrams: each peer of `from` gets a socket of its own on the other side, whose answers go back to it. */
export class DatagramRelay {
  readonly #peers = new Map<string, Promise<Association | null>>();
  readonly #timer: ReturnType<typeof setInterval>;

  /** `open`: makes the socket for a peer. `complain`: told why one could not be made, or has failed. */
  constructor(
    readonly from: Datagrams,
    readonly open: () => Promise<Datagrams>,
    readonly complain: (peer: Deno.NetAddr, error: unknown) => void,
    idleMs = IDLE_MS,
  ) {
    this.#timer = setInterval(() => this.#forgetIdle(idleMs), idleMs / 2);
  }

  get peers(): number {
    return this.#peers.size;
  }

  /** Until the socket is closed; throws what receiving throws then. */
  async run(): Promise<never> {
    try {
      for (;;) {
        const [message, peer] = await this.from.receive();
        const key = `${peer.hostname}:${peer.port}`;
        let association = this.#peers.get(key);
        if (association === undefined) {
          if (this.#peers.size >= MAX_PEERS) this.#forget(this.#peers.keys().next().value!);
          association = this.#associate(key, peer);
          this.#peers.set(key, association);
        }
        const known = await association;
        if (known === null) continue;
        known.usedAt = Date.now();
        await known.socket.send(message).catch((error) => this.complain(peer, error));
      }
    } finally {
      clearInterval(this.#timer);
      for (const key of [...this.#peers.keys()]) this.#forget(key);
    }
  }

  async #associate(key: string, peer: Deno.NetAddr): Promise<Association | null> {
    try {
      const association = { socket: await this.open(), usedAt: Date.now() };
      void this.#answer(key, peer, association);
      return association;
    } catch (error) {
      this.#peers.delete(key);
      this.complain(peer, error);
      return null;
    }
  }

  /** Carries what comes for the peer, until its socket is closed. */
  async #answer(key: string, peer: Deno.NetAddr, association: Association): Promise<void> {
    const { socket } = association;
    for (;;) {
      try {
        const [message] = await socket.receive();
        association.usedAt = Date.now();
        await this.from.send(message, peer);
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        // Nobody listens there: UDP has no way to hand that on, the next message is another try.
        this.complain(peer, error);
        this.#forget(key);
        return;
      }
    }
  }

  #forgetIdle(idleMs: number): void {
    const now = Date.now();
    for (const [key, association] of this.#peers) {
      void association.then((known) => {
        if (known !== null && now - known.usedAt >= idleMs) this.#forget(key);
      });
    }
  }

  #forget(key: string): void {
    const association = this.#peers.get(key);
    this.#peers.delete(key);
    void association?.then((known) => {
      try {
        known?.socket.close();
      } catch {
        // It was closed already.
      }
    });
  }
}
