import { wallClockUs } from "../../ffi/clock.ts";
import { type Epoll, EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from "../../ffi/epoll.ts";
import { SysError } from "../../ffi/errno.ts";
import { O_CLOEXEC } from "../../ffi/libc.ts";
import { receiveSlices, sendDescriptor, sendSlices } from "../../ffi/socket_io.ts";
import {
  acceptUnix,
  closeDescriptor,
  hasPeerEnded,
  isPeerInGroup,
  peerCredentials,
  setSocketOption,
  setTag,
  SHUT_WR,
  shutdownSocket,
  SO_SNDBUF,
  socketPair,
  SOL_SOCKET,
} from "../../ffi/unix_socket.ts";
import type { UnixHost } from "../ipc/host.ts";
import { wasPeerKilled } from "./peer_exit.ts";

/** The system calls of the server, on Linux. */
export class LinuxUnixHost implements UnixHost {
  readonly #ids = new BigUint64Array(64);
  #nextId = this.#ids.length;

  constructor(readonly epoll: Epoll) {}

  readonly accept = acceptUnix;
  readonly credentials = peerCredentials;
  readonly isMember = isPeerInGroup;
  readonly hasEnded = hasPeerEnded;
  readonly close = closeDescriptor as (fd: number) => void;
  readonly receive = receiveSlices as UnixHost["receive"];
  readonly send = sendSlices as UnixHost["send"];
  readonly sendDescriptor = sendDescriptor;
  readonly setTag = setTag;
  readonly wallClockUs = wallClockUs;

  shutdownWrite(fd: number): number {
    return shutdownSocket(fd, SHUT_WR);
  }

  watch(fd: number): number {
    try {
      this.epoll.add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
      return 0;
    } catch (error) {
      // ENOSPC, ENOMEM: fs.epoll.max_user_watches is used up.
      if (error instanceof SysError) return -error.errno;
      throw error;
    }
  }

  socketPair(type: number): readonly [number, number] | number {
    try {
      // Ours is never waited on, whatever its flags; the program's is as a new socket is.
      return socketPair(type, O_CLOEXEC);
    } catch (error) {
      if (error instanceof SysError) return -error.errno;
      throw error;
    }
  }

  setSendBuffer(fd: number, bytes: number): number {
    return setSocketOption(fd, SOL_SOCKET, SO_SNDBUF, bytes);
  }

  /**
   * Only SIGKILL counts: of a program ended by SIGINT or SIGTERM the kernel's TCP would send all that was written, and
   * so do we.
   */
  readonly wasKilled = wasPeerKilled;

  randomId(): bigint {
    // The system's generator is asked for many at once: a call for each takes a microsecond.
    if (this.#nextId === this.#ids.length) {
      crypto.getRandomValues(this.#ids);
      this.#nextId = 0;
    }
    return this.#ids[this.#nextId++];
  }
}
