import type { SocketDescriptor } from "./descriptors.ts";
import { Unsupported } from "./config.ts";
import { Flow } from "./flow.ts";
import { address } from "./machine.ts";
import { type Arguments, BLOCKED, immediate, type Kernel, type Operation } from "./operation.ts";
import { ERRNOS, O_NONBLOCK, SOCK_NONBLOCK, SOCK_TYPE_MASK, SOL_SOCKET, symbolValue } from "./symbols.ts";
import { SocketKind, SocketName } from "../../lib/stack/socket_types.ts";
import { State } from "../../lib/tcp/state.ts";

const IPPROTO_ICMP = 1;
const AF_UNSPEC = 0;
const SO_REUSEADDR = 2;

/** Makes a flow that the script's next packets belong to. */
function newFlow(kernel: Kernel): Flow {
  const flow = new Flow();
  kernel.flows.unshift(flow);
  return flow;
}

function makeDescriptor(handle: number, flow: Flow, stream: boolean, nonblocking: boolean): SocketDescriptor {
  return {
    kind: "socket",
    handle,
    stream,
    nonblocking,
    written: 0,
    read: 0,
    flow,
    connecting: false,
    kept: new Map(),
    reportsQueue: false,
  };
}

export function socket(args: Arguments): Operation {
  const { kernel } = args;
  // AF_INET6 makes no difference: its sockets talk over IPv4 here.
  const type = args.number(1);
  const protocol = args.number(2);
  const kind = type & SOCK_TYPE_MASK;
  const socketKind = kind === 1
    ? SocketKind.stream
    : protocol === IPPROTO_ICMP
    ? SocketKind.icmp
    : SocketKind.datagram;
  if (kind !== 1 && kind !== 2) throw new Unsupported(`socket type ${kind}`);
  const handle = kernel.machine.stack.socket(socketKind);
  return immediate(handle, {
    install: (_, fd) => {
      const flow = newFlow(kernel);
      flow.fd = fd;
      flow.protocol = socketKind === SocketKind.stream
        ? "tcp"
        : socketKind === SocketKind.icmp
        ? "icmp"
        : "udp";
      kernel.underTest = flow;
      kernel.descriptors.set(fd, makeDescriptor(handle, flow, kind === 1, (type & SOCK_NONBLOCK) !== 0));
    },
  });
}

export function bind(args: Arguments): Operation {
  const { kernel } = args;
  const descriptor = args.socket(0);
  if (typeof descriptor === "number") return immediate(descriptor);
  const { localIp, bindPort } = kernel.config;
  descriptor.flow.localPort = bindPort;
  return immediate(kernel.machine.stack.bind(descriptor.handle, address(localIp), bindPort));
}

export function listen(args: Arguments): Operation {
  const { kernel } = args;
  const descriptor = args.socket(0);
  if (typeof descriptor === "number") return immediate(descriptor);
  const result = kernel.machine.stack.listen(descriptor.handle, args.number(1));
  if (result >= 0) descriptor.flow.state = "listening";
  return immediate(result);
}

export function accept(args: Arguments): Operation {
  const { kernel } = args;
  const { stack } = kernel.machine;
  const descriptor = args.socket(0);
  if (typeof descriptor === "number") return immediate(descriptor);
  const flags = args.number(3, 0);
  return {
    attempt: () => {
      const handle = stack.accept(descriptor.handle);
      return handle === -ERRNOS.EAGAIN && !descriptor.nonblocking ? BLOCKED : handle;
    },
    install: (handle, fd) => {
      const name = new SocketName();
      stack.name(handle, name);
      let flow = kernel.flows.find((each) => each.remotePort === name.remotePort && each.fd < 0);
      flow ??= newFlow(kernel);
      flow.fd = fd;
      kernel.descriptors.set(fd, makeDescriptor(handle, flow, true, (flags & SOCK_NONBLOCK) !== 0));
    },
  };
}

export function connect(args: Arguments): Operation {
  const { kernel } = args;
  const { stack } = kernel.machine;
  const descriptor = args.socket(0);
  if (typeof descriptor === "number") return immediate(descriptor);
  if (isUnspecified(args)) throw new Unsupported("connect to AF_UNSPEC");
  const { remoteIp, connectPort } = kernel.config;
  if (descriptor.flow.state === "new") {
    descriptor.flow.state = "connecting";
    descriptor.flow.remotePort = connectPort;
  }
  let begun = false;
  const name = new SocketName();
  return {
    attempt: () => {
      if (!begun) {
        begun = true;
        if (!bindToRange(kernel, descriptor)) return -ERRNOS.EADDRNOTAVAIL;
        const result = stack.connect(descriptor.handle, address(remoteIp), connectPort, kernel.machine.now);
        const waits = result === -ERRNOS.EINPROGRESS && !descriptor.nonblocking;
        return waits ? BLOCKED : result;
      }
      const error = stack.takeError(descriptor.handle);
      if (error !== 0) return -error;
      stack.name(descriptor.handle, name);
      return name.state === State.SYN_SENT || name.state === State.SYN_RECEIVED ? BLOCKED : 0;
    },
  };
}

/** IP_LOCAL_PORT_RANGE of one port: the connection has that port or none. */
function bindToRange(kernel: Kernel, descriptor: SocketDescriptor): boolean {
  const range = descriptor.kept.get(`0 ${symbolValue("IP_LOCAL_PORT_RANGE")}`) ?? 0;
  if (range === 0) return true;
  const port = range & 0xffff;
  if (port !== range >>> 16) throw new Unsupported("IP_LOCAL_PORT_RANGE of several ports");
  const { stack, now } = kernel.machine;
  stack.setOption(descriptor.handle, SOL_SOCKET, SO_REUSEADDR, 1, now);
  return stack.bind(descriptor.handle, address(kernel.config.localIp), port) >= 0;
}

function isUnspecified(args: Arguments): boolean {
  const target = args.expression(1);
  if (target.kind !== "struct") return false;
  const family = target.fields.find(({ name }) => name === "sa_family")?.value;
  return family?.kind === "word" && symbolValue(family.name) === AF_UNSPEC;
}

export function close(args: Arguments): Operation {
  const { kernel } = args;
  const fd = args.number(0);
  const descriptor = args.descriptor(0);
  if (descriptor === null) return immediate(-ERRNOS.EBADF);
  kernel.descriptors.delete(fd);
  if (descriptor.kind !== "socket") return immediate(0);
  const result = kernel.machine.stack.close(descriptor.handle, kernel.machine.now);
  descriptor.flow.fd = -1;
  return immediate(result);
}

export function shutdown(args: Arguments): Operation {
  const { kernel } = args;
  const descriptor = args.socket(0);
  if (typeof descriptor === "number") return immediate(descriptor);
  const how = args.number(1);
  if (how > 2) return immediate(-ERRNOS.EINVAL);
  return immediate(kernel.machine.stack.shutdown(descriptor.handle, how as 0 | 1 | 2, kernel.machine.now));
}

const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const O_RDWR = 2;

export function fcntl(args: Arguments): Operation {
  const descriptor = args.descriptor(0);
  if (descriptor === null) return immediate(-ERRNOS.EBADF);
  switch (args.number(1)) {
    case F_GETFD:
    case F_SETFD:
      return immediate(0);
    case F_GETFL:
      return immediate(O_RDWR | (descriptor.kind === "socket" && descriptor.nonblocking ? O_NONBLOCK : 0));
    case F_SETFL:
      if (descriptor.kind === "socket") descriptor.nonblocking = (args.number(2) & O_NONBLOCK) !== 0;
      return immediate(0);
    default:
      throw new Unsupported(`fcntl command ${args.number(1)}`);
  }
}

/** getsockname and getpeername: the addresses are the runner's own, so only the outcome counts. */
export function socketName(args: Arguments): Operation {
  const descriptor = args.socket(0);
  if (typeof descriptor === "number") return immediate(descriptor);
  const name = new SocketName();
  const result = args.kernel.machine.stack.name(descriptor.handle, name);
  const missing = args.spec.name === "getpeername" && name.remotePort === 0;
  return immediate(missing ? -ERRNOS.ENOTCONN : result);
}
