import type { Expression } from "./ast.ts";
import { Unsupported } from "./config.ts";
import type { BytesDescriptor, SocketDescriptor } from "./descriptors.ts";
import {
  type Arguments,
  type Attempt,
  BLOCKED,
  field,
  immediate,
  type Kernel,
  type Operation,
} from "./operation.ts";
import { fillPattern, findMismatch } from "./payload.ts";
import {
  ERRNOS,
  FIONBIO,
  FIONREAD,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_ERRQUEUE,
  MSG_FASTOPEN,
  MSG_MORE,
  MSG_OOB,
  MSG_PEEK,
  MSG_WAITALL,
  SIOCOUTQ,
  SIOCOUTQNSD,
  symbolValue,
} from "./symbols.ts";
import { Slices } from "../../lib/buffer/memory.ts";
import { Datagram, READY_WRITE, SocketName } from "../../lib/stack/socket_types.ts";
import { SendNext } from "../../lib/stack/stack.ts";
import { distance } from "../../lib/tcp/seq.ts";
import type { Tcb } from "../../lib/tcp/tcb.ts";

const scratch = new Uint8Array(1 << 20);
const slices = new Slices();
const SHORTEST_CALL = 1;
const UNSUPPORTED_SEND: [number, string][] = [
  [MSG_FASTOPEN, "MSG_FASTOPEN"],
  [MSG_OOB, "MSG_OOB"],
];

/** Sends `length` bytes of the connection's pattern; waits for room unless the socket or the flags say not to. */
function sendOperation(kernel: Kernel, socket: SocketDescriptor, length: number, flags: number): Operation {
  const unknown = UNSUPPORTED_SEND.find(([bit]) => (flags & bit) !== 0);
  if (unknown !== undefined) throw new Unsupported(`sending with ${unknown[1]}`);
  if (!socket.stream) return sendDatagram(kernel, socket, length);
  const { machine } = kernel;
  const waits = !socket.nonblocking && (flags & MSG_DONTWAIT) === 0;
  const next = (flags & MSG_EOR) !== 0
    ? SendNext.APART
    : (flags & MSG_MORE) !== 0
    ? SendNext.SOON
    : SendNext.JOINS;
  let done = 0;
  let sleeping = false;
  return {
    attempt: () => {
      // Who sleeps is woken when the socket becomes writable, not when there is any room.
      if (sleeping && (machine.stack.readiness(socket.handle) & READY_WRITE) === 0) return BLOCKED;
      do {
        const chunk = Math.min(length - done, scratch.length);
        fillPattern(scratch, chunk, socket.written);
        const sent = machine.stack.send(socket.handle, scratch, 0, chunk, machine.now, next);
        if (sent < 0) {
          sleeping = sent === -ERRNOS.EAGAIN && waits;
          if (sleeping) return BLOCKED;
          return done > 0 ? done : sent;
        }
        done += sent;
        socket.written += sent;
        if (sent < chunk && !waits) break;
      } while (done < length);
      return done;
    },
  };
}

/** The connection behind a socket. */
function tcbOf(kernel: Kernel, socket: SocketDescriptor): Tcb | null {
  const name = new SocketName();
  kernel.machine.stack.name(socket.handle, name);
  for (const connection of kernel.machine.stack.connections()) {
    if (connection.localPort === name.localPort && connection.remotePort === name.remotePort) {
      return connection.tcb;
    }
  }
  return null;
}

function sendDatagram(kernel: Kernel, socket: SocketDescriptor, length: number): Operation {
  const message = new Datagram();
  message.length = length;
  return immediate(kernel.machine.stack.sendTo(socket.handle, message, kernel.machine.now));
}

/** Reads up to `length` bytes and compares them with the connection's pattern. */
function receiveOperation(
  kernel: Kernel,
  socket: SocketDescriptor,
  length: number,
  flags: number,
): Operation {
  if ((flags & MSG_ERRQUEUE) !== 0) throw new Unsupported("MSG_ERRQUEUE");
  if ((flags & MSG_OOB) !== 0) throw new Unsupported("receiving with MSG_OOB");
  if (!socket.stream) return receiveDatagram(kernel, socket);
  const waits = !socket.nonblocking && (flags & MSG_DONTWAIT) === 0;
  const all = (flags & MSG_WAITALL) !== 0;
  let done = 0;
  let wrong: string | null = null;
  const attempt = (): Attempt => {
    for (;;) {
      const got = (flags & MSG_PEEK) !== 0
        ? peek(kernel, socket, length)
        : receiveSome(kernel, socket, Math.min(length - done, scratch.length));
      if (got < 0) {
        if (got === -ERRNOS.EAGAIN && waits && (done === 0 || all)) return BLOCKED;
        return done > 0 ? done : got;
      }
      wrong ??= got > 0 ? wrongByte(socket, got) : null;
      if ((flags & MSG_PEEK) !== 0) return got;
      socket.read += got;
      done += got;
      if (got === 0 || done >= length || !all) return done;
    }
  };
  return { attempt, check: () => wrong };
}

function receiveSome(kernel: Kernel, socket: SocketDescriptor, length: number): number {
  return kernel.machine.stack.receive(socket.handle, scratch, 0, length, kernel.machine.now);
}

function peek(kernel: Kernel, socket: SocketDescriptor, length: number): number {
  const got = kernel.machine.stack.peek(socket.handle, length, slices);
  if (got <= 0 || slices.memory === null) return got;
  const { bytes } = slices.memory;
  scratch.set(bytes.subarray(slices.offset1, slices.offset1 + slices.length1));
  scratch.set(bytes.subarray(slices.offset2, slices.offset2 + slices.length2), slices.length1);
  return got;
}

function wrongByte(socket: SocketDescriptor, length: number): string | null {
  // An urgent byte is taken out of the stream on the way: places behind it are not the script's any more.
  if (socket.flow.urgentSeen) return null;
  const at = findMismatch(scratch, length, socket.read);
  return at < 0 ? null : `byte ${socket.read + at} of the stream read is not the one the peer sent`;
}

function receiveDatagram(kernel: Kernel, socket: SocketDescriptor): Operation {
  const message = new Datagram();
  return {
    attempt: () => {
      const result = kernel.machine.stack.receiveFrom(socket.handle, message);
      return result === -ERRNOS.EAGAIN && !socket.nonblocking ? BLOCKED : result;
    },
  };
}

export function write(args: Arguments): Operation {
  const descriptor = args.descriptor(0);
  if (descriptor === null) return immediate(-ERRNOS.EBADF);
  if (descriptor.kind === "bytes") return immediate(fillPipe(descriptor, args.number(2)));
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  if (isNull(args.expression(1))) return immediate(-ERRNOS.EFAULT);
  return sendOperation(args.kernel, socket, args.number(2), args.number(3, 0));
}

export function read(args: Arguments): Operation {
  const descriptor = args.descriptor(0);
  if (descriptor === null) return immediate(-ERRNOS.EBADF);
  if (descriptor.kind === "bytes") return immediate(drainPipe(descriptor, args.number(2)));
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  if (isNull(args.expression(1))) return immediate(-ERRNOS.EFAULT);
  const length = args.number(2);
  return receiveOperation(args.kernel, socket, length, args.number(3, 0));
}

function isNull(expression: Expression): boolean {
  if (expression.kind === "word") return expression.name === "NULL";
  return expression.kind === "number" && expression.value === 0;
}

/** The lengths of `[{..., 1000}, {..., 500}]`, added up. */
function vectorLength(args: Arguments, vector: Expression | undefined): number {
  if (vector?.kind !== "list") throw new Unsupported(`${args.spec.name} without a list of buffers`);
  return vector.items.reduce((sum, item) => {
    if (item.kind !== "struct" || item.items.length !== 2) throw new Unsupported("an iovec of another form");
    return sum + args.evaluate(item.items[1]);
  }, 0);
}

export function writev(args: Arguments): Operation {
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  return sendOperation(args.kernel, socket, vectorLength(args, args.expression(1)), 0);
}

export function readv(args: Arguments): Operation {
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  return receiveOperation(args.kernel, socket, vectorLength(args, args.expression(1)), 0);
}

export function sendmsg(args: Arguments): Operation {
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  const length = vectorLength(args, field(args.fields(1), "msg_iov"));
  return sendOperation(args.kernel, socket, length, args.number(2));
}

export function recvmsg(args: Arguments): Operation {
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  const fields = args.fields(1);
  const flags = args.number(2);
  const operation = receiveOperation(
    args.kernel,
    socket,
    vectorLength(args, field(fields, "msg_iov")),
    flags,
  );
  const control = field(fields, "msg_control");
  return {
    ...operation,
    check: (result) => {
      const wrong = operation.check?.(result) ?? null;
      return wrong ?? (result < 0 ? null : checkControl(args, socket, control));
    },
  };
}

/** TCP_CM_INQ is the only ancillary message that the stack's users can ask for. */
function checkControl(
  args: Arguments,
  socket: SocketDescriptor,
  control: Expression | undefined,
): string | null {
  const expected = control?.kind === "list" ? control.items : [];
  if (expected.length === 0) {
    return socket.reportsQueue ? "expected no ancillary message, got TCP_CM_INQ" : null;
  }
  const fields = expected[0].kind === "struct" ? expected[0].fields : [];
  const type = field(fields, "cmsg_type");
  const data = field(fields, "cmsg_data");
  if (expected.length > 1 || type === undefined || data === undefined) {
    throw new Unsupported("these ancillary messages");
  }
  if (args.evaluate(type) !== symbolValue("TCP_CM_INQ")) throw new Unsupported("this ancillary message");
  const want = args.evaluate(data);
  const got = socket.reportsQueue ? queued(args.kernel, socket) : -1;
  return want === got ? null : `TCP_CM_INQ: expected ${want}, got ${got}`;
}

/** Bytes to read, as TCP_INQ counts them: one more for a FIN that nothing else announces. */
function queued(kernel: Kernel, socket: SocketDescriptor): number {
  const bytes = Math.max(0, kernel.machine.stack.peek(socket.handle, 1 << 30, slices));
  const READ_CLOSED = 4;
  const closed = (kernel.machine.stack.readiness(socket.handle) & READ_CLOSED) !== 0;
  return bytes === 0 && closed ? 1 : bytes;
}

export function ioctl(args: Arguments): Operation {
  const { kernel } = args;
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  const request = args.number(1);
  if (request === FIONBIO) {
    socket.nonblocking = args.number(2) !== 0;
    return immediate(0);
  }
  let value: number;
  if (request === FIONREAD) value = Math.max(0, kernel.machine.stack.peek(socket.handle, 1 << 30, slices));
  else if (request === SIOCOUTQ) value = unacknowledged(kernel, socket);
  else if (request === SIOCOUTQNSD) value = kernel.machine.info(socket.handle).tcpi_notsent_bytes;
  else throw new Unsupported(`ioctl request ${request}`);
  const want = args.expression(2);
  return immediate(0, {
    check: () => {
      if (want.kind === "ellipsis") return null;
      const expected = args.evaluate(want);
      return expected === value ? null : `${args.spec.name}: expected [${expected}], got [${value}]`;
    },
  });
}

/** Bytes written and not acknowledged. */
function unacknowledged(kernel: Kernel, socket: SocketDescriptor): number {
  return kernel.machine.info(socket.handle).sendQueue;
}

function fillPipe(descriptor: BytesDescriptor, length: number): number {
  if (descriptor.peer !== null) descriptor.peer.available += length;
  return length;
}

function drainPipe(descriptor: BytesDescriptor, length: number): number {
  const got = Math.min(length, descriptor.available);
  descriptor.available -= got;
  return got;
}

/** `pipe([4, 5])` and `open("/path", ...)`: bytes without content. */
export function pipe(args: Arguments): Operation {
  const ends = args.expression(0);
  if (ends.kind !== "list" || ends.items.length !== 2) throw new Unsupported("pipe of another form");
  const reader: BytesDescriptor = { kind: "bytes", available: 0, peer: null };
  args.kernel.descriptors.set(args.evaluate(ends.items[0]), reader);
  args.kernel.descriptors.set(args.evaluate(ends.items[1]), { kind: "bytes", available: 0, peer: reader });
  return immediate(0);
}

export function open(args: Arguments): Operation {
  const install = (_: number, fd: number) =>
    args.kernel.descriptors.set(fd, { kind: "bytes", available: Infinity, peer: null });
  return immediate(SHORTEST_CALL, { install });
}

/** `sendfile(to, from, [offset], count)`. */
export function sendfile(args: Arguments): Operation {
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  const source = args.descriptor(1);
  if (source?.kind !== "bytes") return immediate(-ERRNOS.EBADF);
  return sendOperation(args.kernel, socket, args.number(3), 0);
}

/** splice(2) stops in front of the urgent byte; the stack itself leaves that byte in its place (RFC 6093). */
function beforeUrgentByte(kernel: Kernel, socket: SocketDescriptor): number {
  const rcv = tcbOf(kernel, socket)?.rcv;
  return rcv?.urgent === true ? Math.max(0, distance(rcv.up, rcv.readSeq) - 1) : Infinity;
}

/** `splice(from, NULL, to, NULL, length, flags)` between a socket and a pipe. */
export function splice(args: Arguments): Operation {
  const from = args.descriptor(0);
  const to = args.descriptor(2);
  const length = args.number(4);
  if (from?.kind === "bytes" && to?.kind === "socket") {
    return sendOperation(args.kernel, to, drainPipe(from, length), 0);
  }
  if (from?.kind === "socket" && to?.kind === "bytes") {
    const most = Math.min(length, beforeUrgentByte(args.kernel, from));
    if (most === 0) return immediate(0);
    const operation = receiveOperation(args.kernel, from, most, 0);
    return {
      ...operation,
      attempt: () => {
        const got = operation.attempt();
        if (got !== BLOCKED && got > 0) fillPipe(to, got);
        return got;
      },
    };
  }
  return immediate(-ERRNOS.EINVAL);
}
