import { ANY, type IpAddress } from "../wire/address.ts";
import type { DatagramSocket } from "./socket.ts";

/** Who holds a local port, and on what terms. A socket has one; a connection keeps it after its socket is closed. */
export class Binding {
  next: Binding | null = null;
  previous: Binding | null = null;
  isListening = false;
  /** SO_REUSEADDR and SO_REUSEPORT of the socket. */
  reuseAddress = false;
  reusePort = false;
  /** The socket that receives what arrives; of TCP null, since connections and listeners have tables of their own. */
  socket: DatagramSocket | null = null;

  constructor(
    readonly address: IpAddress,
    readonly port: number,
    /** The stack chose the port for a connection; others to other peers may share it. */
    readonly isAutomatic: boolean,
  ) {}
}

/** The local ports of one transport and who holds them. */
export class PortSpace {
  private readonly ports = new Map<number, Binding>();

  /** The first of those who hold `port`, linked by `next`. */
  first(port: number): Binding | null {
    return this.ports.get(port) ?? null;
  }

  add(binding: Binding): void {
    const first = this.first(binding.port);
    binding.next = first;
    if (first !== null) first.previous = binding;
    this.ports.set(binding.port, binding);
  }

  remove(binding: Binding): void {
    const { next, previous, port } = binding;
    if (next !== null) next.previous = previous;
    if (previous !== null) previous.next = next;
    else if (next !== null) this.ports.set(port, next);
    else this.ports.delete(port);
    binding.next = binding.previous = null;
  }

  /**
   * Whether `address` and `port` can be bound as Linux's bind(2) has it: whoever overlaps must have set SO_REUSEADDR
   * too and not listen, or both sides SO_REUSEPORT. `listeners`: false for UDP, where nobody listens. `self` does not
   * count.
   */
  isFree(
    address: IpAddress,
    port: number,
    reuseAddress: boolean,
    reusePort: boolean,
    self: Binding | null = null,
  ): boolean {
    for (let other = this.first(port); other !== null; other = other.next) {
      if (other === self) continue;
      if (address !== ANY && other.address !== ANY && address !== other.address) continue;
      if (reusePort && other.reusePort) continue;
      if (reuseAddress && other.reuseAddress && !other.isListening) continue;
      return false;
    }
    return true;
  }

  /** Whether the stack may choose `port` for one more connection: no program asked for it by name. */
  isShareable(port: number): boolean {
    for (let other = this.first(port); other !== null; other = other.next) {
      if (!other.isAutomatic) return false;
    }
    return true;
  }
}
