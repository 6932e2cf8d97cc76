import { closeDescriptor, libc } from "../../ffi/libc.ts";
import { Block } from "../../ffi/memory.ts";

const SIGKILL = 9;
/** The signal that ended a process, in its wait status. */
const SIGNAL_MASK = 0x7f;

const SOL_SOCKET = 1;
/** Linux 6.5; of a process that is gone already, 6.16. */
const SO_PEERPIDFD = 77;
/** _IOWR(0xFF, 11, struct pidfd_info): Linux 6.13. */
const PIDFD_GET_INFO = 0xc040ff0b;
/** struct pidfd_info { uint64 mask, cgroup; uint32 pid ... fsgid (9 of them); int32 exit_code; } */
const PIDFD_INFO_SIZE = 64;
const PIDFD_INFO_EXIT_CODE = 60;
/** Linux 6.15. */
const PIDFD_INFO_EXIT = 8;

let value: Block | null = null;
let length: Block | null = null;

/**
 * Whether the process `pid` at the other end of the Unix socket `fd` was ended by SIGKILL; false where nothing tells.
 *
 * A process's descriptors are closed while it ends. As long as its parent has not taken notice of that, the signal is
 * pending in /proc, which unlike the exit status anyone may read; after that the kernel still knows the exit status by
 * the socket, since Linux 6.16.
 */
export function wasPeerKilled(fd: number, pid: number): boolean {
  return isKillPending(pid) ?? isKilled(statusOfPeer(fd));
}

/** Null when the process is gone. */
function isKillPending(pid: number): boolean | null {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const [, low] = /^ShdPnd:\t[0-9a-f]*([0-9a-f]{8})$/m.exec(status) ?? [];
    return (parseInt(low, 16) & (1 << (SIGKILL - 1))) !== 0;
  } catch {
    return null;
  }
}

function isKilled(status: number | null): boolean {
  return status !== null && (status & SIGNAL_MASK) === SIGKILL;
}

/** The wait status; null when the kernel does not know it. */
function statusOfPeer(fd: number): number | null {
  value ??= new Block(PIDFD_INFO_SIZE);
  length ??= new Block(4);
  length.words[0] = 4;
  if (libc().getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, value.bytes, length.bytes) < 0) return null;
  const pidfd = value.words[0];
  value.bytes.fill(0);
  value.words[0] = PIDFD_INFO_EXIT;
  const result = libc().ioctl(pidfd, PIDFD_GET_INFO, value.bytes);
  closeDescriptor(pidfd);
  if (result < 0 || (value.words[0] & PIDFD_INFO_EXIT) === 0) return null;
  return value.view.getInt32(PIDFD_INFO_EXIT_CODE, true);
}
