/** UDP ASSOCIATE (RFC 1928 7): datagrams of a client, each with the address it goes to or came from in front of it. */
import type { Target } from "./arguments.ts";
import type { Datagrams } from "./sides.ts";
import { unwrapDatagram, wrapDatagram } from "./socks_protocol.ts";

/** Names that are remembered. */
const MAX_NAMES = 256;

export class SocksAssociation {
  #client: Deno.NetAddr | null = null;
  readonly #names = new Map<string, Promise<string>>();

  /**
   * `near`: where the client sends to, `far`: the stack's socket. Only `client` (an address) may use it, from `port` if that
   * is not 0, else from the port that it uses first.
   */
  constructor(
    readonly near: Datagrams,
    readonly far: Datagrams,
    readonly client: string,
    readonly port: number,
    readonly resolve: (name: string) => Promise<string>,
  ) {}

  /** Goes on until the sockets are closed. */
  start(): void {
    void this.#pump(this.near, ([message, from]) => this.#fromClient(message, from));
    void this.#pump(this.far, ([message, from]) => this.#toClient(message, from));
  }

  async #pump(
    socket: Datagrams,
    handle: (message: [Uint8Array<ArrayBuffer>, Deno.NetAddr]) => Promise<unknown>,
  ): Promise<void> {
    for (;;) {
      try {
        await handle(await socket.receive());
      } catch (error) {
        if (error instanceof Deno.errors.BadResource) return;
        // A datagram that cannot be sent is lost, as datagrams are; a daemon that has gone ends all of it.
        if (error instanceof Deno.errors.NetworkUnreachable && "code" in error && error.code === "ENETDOWN") {
          return;
        }
      }
    }
  }

  async #fromClient(message: Uint8Array, from: Deno.NetAddr): Promise<void> {
    if (!this.#isClient(from)) return;
    const wrapped = unwrapDatagram(message);
    if (wrapped === null || wrapped.target.port === 0) return;
    const { payload, target } = wrapped;
    await this.far.send(payload, await this.#addressOf(target));
  }

  #isClient({ hostname, port }: Deno.NetAddr): boolean {
    if (hostname !== this.client) return false;
    if (this.#client === null && (this.port === 0 || this.port === port)) {
      this.#client = { transport: "udp", hostname, port };
    }
    return this.#client?.port === port;
  }

  async #addressOf({ host, port }: Target): Promise<Deno.NetAddr> {
    let address = this.#names.get(host);
    if (address === undefined) {
      if (this.#names.size >= MAX_NAMES) this.#names.clear();
      address = this.resolve(host);
      this.#names.set(host, address);
      address.catch(() => this.#names.delete(host));
    }
    return { transport: "udp", hostname: await address, port };
  }

  async #toClient(message: Uint8Array, from: Deno.NetAddr): Promise<void> {
    if (this.#client !== null) await this.near.send(wrapDatagram(from, message), this.#client);
  }
}
