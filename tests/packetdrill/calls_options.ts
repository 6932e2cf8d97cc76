import type { Expression } from "./ast.ts";
import { Unsupported } from "./config.ts";
import type { SocketDescriptor } from "./descriptors.ts";
import { type Arguments, field, immediate, type Operation } from "./operation.ts";
import {
  errnoName,
  FREEBSD_FUNCTION_BLK,
  FREEBSD_KEEPINIT,
  FREEBSD_NOOPT,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  SOL_SOCKET,
  symbolValue,
} from "./symbols.ts";
import { tcpInfoNames } from "./tcp_info.ts";

const SO_ERROR = 4;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_LINGER = 13;
/** IP_PMTUDISC_WANT and IP_PMTUDISC_DO, which for TCP are the same: what the stack does anyway. */
const PATH_MTU_MODES = [1, 2];
const IP_MTU_DISCOVER = 10;
const TCP_INFO = 11;
const TCP_CONGESTION = 13;
const TCP_USER_TIMEOUT = 18;
const TCP_INQ = 36;

/** Options that change nothing about what a script sees: accepted and kept, as Linux does. */
const KEPT: Record<number, string[]> = {
  [SOL_SOCKET]: [
    "SO_PRIORITY",
    "SO_MARK",
    "SO_DEBUG",
    "SO_BUSY_POLL",
    "SO_DONTROUTE",
    "SO_ZEROCOPY",
  ],
  [IPPROTO_IP]: [
    "IP_RECVERR",
    "IP_FREEBIND",
    "IP_LOCAL_PORT_RANGE",
    "IP_BIND_ADDRESS_NO_PORT",
  ],
  [IPPROTO_IPV6]: ["IPV6_V6ONLY", "IPV6_RECVERR", "IPV6_TCLASS"],
  [IPPROTO_TCP]: [],
};

function isKept(level: number, name: number): boolean {
  return KEPT[level]?.some((each) => symbolValue(each) === name) ?? false;
}

/** `setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4)`; the value may be a string or a structure. */
export function setsockopt(args: Arguments): Operation {
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  const level = args.number(1);
  const name = args.number(2);
  const value = args.expression(3);
  const { machine } = args.kernel;
  if (level === IPPROTO_TCP && name === TCP_INQ) {
    socket.reportsQueue = args.evaluate(value) !== 0;
    return immediate(0);
  }
  if (name === FREEBSD_NOOPT) throw new Unsupported("TCP_NOOPT");
  if (name === FREEBSD_FUNCTION_BLK) return immediate(0);
  if (name === FREEBSD_KEEPINIT) {
    const ms = args.evaluate(value) * 1000;
    return immediate(machine.stack.setOption(socket.handle, level, TCP_USER_TIMEOUT, ms, machine.now));
  }
  if (isFixedPathMtu(args, socket, level, name)) {
    args.kernel.pathMtuIsFixed = true;
    return immediate(0);
  }
  if (isKept(level, name)) {
    socket.kept.set(`${level} ${name}`, args.evaluate(value));
    return immediate(0);
  }
  if (level === IPPROTO_TCP && name === TCP_CONGESTION) {
    return immediate(machine.stack.setCongestion(socket.handle, stringValue(args, value)));
  }
  const number = level === SOL_SOCKET && name === SO_LINGER ? lingerValue(args, value) : args.evaluate(value);
  return immediate(machine.stack.setOption(socket.handle, level, name, number, machine.now));
}

/** IP_PMTUDISC_DONT and the like, which TCP cannot be told: it makes no difference before an ICMP message comes. */
function isFixedPathMtu(args: Arguments, socket: SocketDescriptor, level: number, name: number): boolean {
  if (level !== IPPROTO_IP || name !== IP_MTU_DISCOVER || !socket.stream) return false;
  return !PATH_MTU_MODES.includes(args.evaluate(args.expression(3)));
}

function stringValue(args: Arguments, value: Expression): string {
  if (value.kind === "string") return value.value;
  if (value.kind === "word") return args.kernel.config.defines.get(value.name) ?? value.name;
  throw new Unsupported("a congestion control that is not a string");
}

/** `{onoff=1, linger=5}` as the stack takes it: seconds, or -1 for off. */
function lingerValue(args: Arguments, value: Expression): number {
  if (value.kind !== "struct") return args.evaluate(value);
  const member = (name: string) => {
    const expression = field(value.fields, name) ?? field(value.fields, `l_${name}`);
    return expression === undefined ? 0 : args.evaluate(expression);
  };
  return member("onoff") === 0 ? -1 : member("linger");
}

/** `getsockopt(3, SOL_SOCKET, SO_ERROR, [ECONNREFUSED], [4])`: the value is what the call is to give. */
export function getsockopt(args: Arguments): Operation {
  const socket = args.socket(0);
  if (typeof socket === "number") return immediate(socket);
  const level = args.number(1);
  const name = args.number(2);
  const want = args.expression(3);
  if (level === IPPROTO_TCP && name === TCP_INFO) {
    return immediate(0, { check: () => infoDifference(args, socket, want) });
  }
  if (level === IPPROTO_TCP && name === TCP_CONGESTION) {
    const got = args.kernel.machine.info(socket.handle).congestion;
    const expected = want.kind === "ellipsis" ? got : stringValue(args, want);
    return immediate(0, { check: () => got === expected ? null : `expected "${expected}", got "${got}"` });
  }
  const got = currentValue(args, socket, level, name);
  if (got < 0 && name !== SO_LINGER) return immediate(got);
  return immediate(0, { check: () => valueDifference(args, level, name, want, got) });
}

function currentValue(args: Arguments, socket: SocketDescriptor, level: number, name: number): number {
  const { stack } = args.kernel.machine;
  if (level === IPPROTO_TCP && name === TCP_INQ) return Number(socket.reportsQueue);
  const kept = socket.kept.get(`${level} ${name}`);
  if (kept !== undefined) return kept;
  if (level === SOL_SOCKET && name === SO_ERROR) return stack.takeError(socket.handle);
  if (name === FREEBSD_KEEPINIT) return stack.getOption(socket.handle, level, TCP_USER_TIMEOUT) / 1000;
  return stack.getOption(socket.handle, level, name);
}

function valueDifference(
  args: Arguments,
  level: number,
  name: number,
  want: Expression,
  got: number,
): string | null {
  if (want.kind === "ellipsis") return null;
  if (level === SOL_SOCKET && name === SO_LINGER) {
    const expected = lingerValue(args, want);
    return expected === got ? null : `expected linger ${expected}, got ${got}`;
  }
  // How large buffers are, and how they are rounded, is one operating system's choice as windows are.
  const isBuffer = level === SOL_SOCKET && (name === SO_RCVBUF || name === SO_SNDBUF);
  if (isBuffer && args.kernel.config.loose) return null;
  const expected = args.evaluate(want);
  if (expected === got) return null;
  if (level === SOL_SOCKET && name === SO_ERROR) {
    const text = (errno: number) => errno === 0 ? "0" : errnoName(errno);
    return `expected [${text(expected)}], got [${text(got)}]`;
  }
  return `expected [${expected}], got [${got}]`;
}

/** `{tcpi_snd_cwnd=10, ...}`: the members that are named. */
function infoDifference(args: Arguments, socket: SocketDescriptor, want: Expression): string | null {
  if (want.kind !== "struct") return null;
  const info = tcpInfoNames(args.kernel.machine.info(socket.handle));
  for (const { name, value } of want.fields) {
    const got = info.get(name);
    if (got === undefined) throw new Unsupported(`the tcp_info member ${name}`);
    if (value.kind !== "ellipsis" && args.evaluate(value) !== got) {
      return `${name}: expected ${args.evaluate(value)}, got ${got}`;
    }
  }
  return null;
}
