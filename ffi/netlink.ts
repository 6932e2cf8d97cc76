import { check, closeDescriptor, libc, O_CLOEXEC } from "./libc.ts";
import { Block } from "./memory.ts";
import { EIO } from "../lib/errno.ts";
import { SysError } from "./errno.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const NLM_F_REQUEST = 0x001;
const NLM_F_ACK = 0x004;
const NLM_F_DUMP = 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER = 16;

/** Dumps come in pieces of at most this many bytes, whole messages each. */
const RECEIVE_SIZE = 32768;

/** One message of the answer, from the end of its netlink header on. Valid only inside the callback. */
export type NetlinkVisitor = (view: DataView, start: number, end: number) => void;

/**
 * Asks rtnetlink(7) for everything of a kind (`type`: RTM_GETLINK, RTM_GETADDR...) in this network namespace; needs no
 * privilege. Throws `SysError`.
 */
export function dump(type: number, visit: NetlinkVisitor): void {
  // A body of zeros: any family, any interface.
  transact(type, NLM_F_DUMP, new Uint8Array(16), visit);
}

/** Has rtnetlink(7) change something (`type`: RTM_SETLINK...). Throws `SysError` (EPERM, ENODEV, EINVAL). */
export function change(type: number, body: Uint8Array): void {
  transact(type, NLM_F_ACK, body, () => {});
}

function transact(type: number, flags: number, body: Uint8Array, visit: NetlinkVisitor): void {
  const fd = check("socket", libc().socket(AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_ROUTE));
  try {
    const length = HEADER + body.length;
    const request = new Block(length);
    // struct nlmsghdr { uint32 length; uint16 type, flags; uint32 sequence, port; }
    request.view.setUint32(0, length, true);
    request.view.setUint16(4, type, true);
    request.view.setUint16(6, NLM_F_REQUEST | flags, true);
    request.bytes.set(body, HEADER);
    check("send", libc().send(fd, request.bytes, length, 0));
    const answer = new Block(RECEIVE_SIZE);
    let done = false;
    while (!done) {
      const received = check("recv", libc().recv(fd, answer.bytes, RECEIVE_SIZE, 0));
      done = visitMessages(answer.view, received, visit);
    }
  } finally {
    closeDescriptor(fd);
  }
}

/** Returns whether the answer is complete. */
function visitMessages(view: DataView, length: number, visit: NetlinkVisitor): boolean {
  for (let at = 0; at + HEADER <= length;) {
    const size = view.getUint32(at, true);
    const type = view.getUint16(at + 4, true);
    if (type === NLMSG_DONE) return true;
    if (type === NLMSG_ERROR) {
      const error = -view.getInt32(at + HEADER, true);
      if (error !== 0) throw new SysError("recv", error);
      return true; // an acknowledgement is an error of number 0
    }
    if (size < HEADER || at + size > length) throw new SysError("recv", EIO);
    visit(view, at + HEADER, at + size);
    at += (size + 3) & ~3;
  }
  return length === 0;
}

/** Walks the attributes (`struct rtattr`) between two offsets; nested ones by a call of its own. */
export function attributes(
  view: DataView,
  start: number,
  end: number,
  visit: (type: number, start: number, end: number) => void,
): void {
  for (let at = start; at + 4 <= end;) {
    const size = view.getUint16(at, true);
    if (size < 4 || at + size > end) return;
    visit(view.getUint16(at + 2, true) & 0x3fff, at + 4, at + size); // the two upper bits are flags
    at += (size + 3) & ~3;
  }
}
