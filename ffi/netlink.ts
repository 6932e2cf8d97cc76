import { check, closeDescriptor, libc, O_CLOEXEC } from "./libc.ts";
import { Block } from "./memory.ts";
import { EIO } from "../lib/errno.ts";
import { SysError } from "./errno.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const NLM_F_REQUEST = 0x001;
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
  const fd = check("socket", libc().socket(AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_ROUTE));
  try {
    const request = new Block(HEADER + 16); // struct nlmsghdr, and a body of zeros: any family, any interface
    request.view.setUint32(0, HEADER + 16, true);
    request.view.setUint16(4, type, true);
    request.view.setUint16(6, NLM_F_REQUEST | NLM_F_DUMP, true);
    check("send", libc().send(fd, request.bytes, HEADER + 16, 0));
    const answer = new Block(RECEIVE_SIZE);
    let done = false;
    while (!done) {
      const length = check("recv", libc().recv(fd, answer.bytes, RECEIVE_SIZE, 0));
      done = visitMessages(answer.view, length, visit);
    }
  } finally {
    closeDescriptor(fd);
  }
}

/** Returns whether the dump is complete. */
function visitMessages(view: DataView, length: number, visit: NetlinkVisitor): boolean {
  for (let at = 0; at + HEADER <= length;) {
    const size = view.getUint32(at, true);
    const type = view.getUint16(at + 4, true);
    if (type === NLMSG_DONE) return true;
    if (type === NLMSG_ERROR) throw new SysError("recv", -view.getInt32(at + HEADER, true));
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
