import { Slices } from "../buffer/memory.ts";
import { EAGAIN, ECONNRESET, EPIPE } from "../errno.ts";
import { SHUT_WR, SO_LINGER, SOL_SOCKET } from "../stack/socket_types.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import type { Service } from "./service.ts";

/**
 * Bytes that one connection may move in one direction before the others have their turn: more than its socket takes at
 * once, so that a program is given all there is room for (curl of 1 GB at 18.9 Gbit/s instead of 17.3).
 */
const BUDGET = 512 * 1024;

/** Bytes asked of the program at once: adapted between these, so that small messages do not grow large rings. */
const LEAST_READ = 4096;
const MOST_READ = 256 * 1024;

/**
 * Asked for on both ends of a stream's socket (on the program's, when it connected, in ffi/preload/connect.c): the most
 * that every system allows without privilege, of which the kernel makes the double. The program is then seldom idle until
 * we have noticed that there is room again (up to 36 Gbit/s to a program instead of 27, and 26 from one instead of 24).
 */
export const STREAM_SEND_BUFFER = 212_992;

const slices = new Slices();

/** A connection whose Unix socket is the TCP byte stream: moves bytes between the two, without a copy of its own. */
export class StreamRole implements Role {
  /** Filler of the connect request that has not been drained. */
  #filler: number;
  #readSize = LEAST_READ;
  /** The program sent all it has: its FIN is on its way. */
  #programEnded = false;
  /** The peer's FIN was handed on to the program. */
  #networkEnded = false;
  /** The program reads no more, but has not closed: what comes is thrown away. */
  #discarding = false;
  /** The program's socket refused bytes: it either shut down reading or closed, and the next events tell. */
  #refused = false;
  /** The program may never have known of it: a clean end would be a lie. */
  #orphan = false;
  #touched = false;
  /** errno the connection ended with. */
  #outcome = 0;

  /** It stands for a socket of the kernel's, which a program that is killed closes like any other. */
  readonly #isSocket: boolean;

  /** `isSocket`: the program uses it as a socket, by the preloaded library. */
  constructor(filler = 0, isSocket = false) {
    this.#filler = filler;
    this.#isSocket = isSocket;
  }

  /** Its listener has gone, perhaps before the program took it: unless anything came from there it is to be reset. */
  abandon(): void {
    this.#orphan = !this.#touched;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    if (client.failed || (client.hungUp && this.#orphan)) {
      // Bytes that the program never read: the peer must learn that they are lost (RFC 2525 2.17).
      this.#abort(client, service, now);
      return false;
    }
    const movedBefore = service.moved;
    const moreOut = this.#fromProgram(client, service, now);
    const wrote = service.moved > movedBefore;
    const moreIn = !client.closed && this.#toProgram(client, service, now);
    if (client.closed) return false;
    if (client.hungUp && this.#programEnded) {
      // A reset (SO_LINGER 0) comes after what was written before: that goes out first, as it would from write(2).
      if (wrote && service.stack.getOption(client.handle, SOL_SOCKET, SO_LINGER) === 0) return true;
      this.#close(client, service, now);
      return false;
    }
    return moreOut || moreIn;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    if (client.handle >= 0) service.stack.abort(service.detach(client), now);
    service.bury(client.id, this.#outcome || ECONNRESET);
  }

  /** Program to network; true when the budget is used up. */
  #fromProgram(client: ClientSocket, service: Service, now: number): boolean {
    if (this.#filler > 0 && !this.#drainFiller(client, service)) return false;
    let budget = BUDGET;
    while (client.readable && !this.#programEnded) {
      if (budget <= 0) return true;
      const room = service.stack.reserve(client.handle, this.#readSize, slices);
      if (room <= 0) {
        // No room: the bytes stay in the program's socket until the peer has acknowledged some. An error ends the
        // connection once the program was given all that came before it.
        if (room === -EAGAIN) return false;
        this.#outcome ||= -room;
        // After the peer's FIN nothing more comes for the program, so nothing else would notice.
        if (this.#networkEnded) this.#close(client, service, now);
        return false;
      }
      const count = service.host.receive(client.fd, slices);
      service.stack.commit(client.handle, Math.max(count, 0), now);
      if (count > 0) {
        this.#touched = true;
        this.#orphan = false;
        budget -= count;
        service.moved += count;
        this.#adaptReadSize(count);
        // Less than there was room for: it was all there is, and more will be reported. An end was reported already.
        if (count < room && !client.ended) client.readable = false;
      } else {
        this.#endOfProgram(client, service, count, now);
        if (client.closed) return false;
      }
    }
    return false;
  }

  #adaptReadSize(count: number): void {
    if (count === this.#readSize) this.#readSize = Math.min(this.#readSize * 2, MOST_READ);
    else if (count < this.#readSize >> 2) this.#readSize = Math.max(this.#readSize >> 1, LEAST_READ);
  }

  /** The program's socket gave no bytes: none yet, no more, or an error. */
  #endOfProgram(client: ClientSocket, service: Service, count: number, now: number): void {
    client.readable = false;
    if (count === -EAGAIN) return;
    if (count < 0) return this.#abort(client, service, now);
    this.#programEnded = true;
    // A plain close is dealt with at the end of the turn, by closing.
    if (!client.hungUp) service.stack.shutdown(client.handle, SHUT_WR, now);
  }

  /** Reads away what stood behind the request; false while there is more to come. */
  #drainFiller(client: ClientSocket, service: Service): boolean {
    while (client.readable && this.#filler > 0) {
      const count = service.receive(client, Math.min(this.#filler, service.scratch.size));
      if (count <= 0) break;
      this.#filler -= count;
    }
    // A program that ended without sending its filler has nothing more to say.
    if (client.hungUp && !client.readable) this.#programEnded = true;
    return this.#filler === 0;
  }

  /** Network to program; true when the budget is used up. */
  #toProgram(client: ClientSocket, service: Service, now: number): boolean {
    const { stack, host } = service;
    let budget = BUDGET;
    while ((client.writable || this.#discarding) && !this.#networkEnded) {
      if (budget <= 0) return true;
      const held = stack.peek(client.handle, budget, slices);
      if (held <= 0) return this.#endOfNetwork(client, service, held, now);
      if (client.hungUp && !this.#discarding) {
        this.#abort(client, service, now);
        return false;
      }
      const count = this.#discarding ? held : host.send(client.fd, slices);
      if (count > 0) {
        stack.consume(client.handle, count, now);
        budget -= count;
        service.moved += count;
        // Less than was offered: the program's socket is full, and its room will be reported.
        if (count < held) client.writable = false;
      } else if (count === -EAGAIN) {
        client.writable = false;
      } else {
        return this.#refusedBy(client, service, count, now);
      }
    }
    return false;
  }

  /** The stack gave no bytes: none yet, the peer's FIN, or the end of the connection. */
  #endOfNetwork(client: ClientSocket, service: Service, held: number, now: number): boolean {
    if (held === -EAGAIN) return false;
    if (held === 0 && this.#outcome === 0) {
      this.#networkEnded = true;
      service.host.shutdownWrite(client.fd);
      // With both directions over the socket reports a hang-up, which is the end of this connection.
      return false;
    }
    this.#outcome ||= -held;
    this.#close(client, service, now);
    return false;
  }

  #refusedBy(client: ClientSocket, service: Service, count: number, now: number): boolean {
    if (count !== -EPIPE) {
      this.#abort(client, service, now);
      return false;
    }
    // A closed socket refuses too, but its hang-up is waiting to be reported: the next turn knows.
    if (this.#refused) this.#discarding = true;
    this.#refused = true;
    return true;
  }

  /** The program closed: so does TCP, unless it was a client of the daemon's that was killed in the middle of things. */
  #close(client: ClientSocket, service: Service, now: number): void {
    const midway = client.hungUp && !this.#networkEnded && this.#outcome === 0;
    if (midway && !this.#isSocket && service.host.wasKilled(client.fd, client.peer.pid)) {
      return this.#abort(client, service, now);
    }
    service.stack.close(service.detach(client), now);
    service.bury(client.id, this.#outcome);
    this.#forget(client, service, now);
  }

  #abort(client: ClientSocket, service: Service, now: number): void {
    service.stack.abort(service.detach(client), now);
    service.bury(client.id, ECONNRESET);
    this.#forget(client, service, now);
  }

  #forget(client: ClientSocket, service: Service, now: number): void {
    client.role = ENDED;
    service.drop(client, now);
  }
}

/** The role of a client whose stream has been dealt with. */
const ENDED: Role = { run: () => false, end: () => {} };
