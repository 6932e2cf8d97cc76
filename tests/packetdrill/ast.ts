/** What a packetdrill script says, after parsing. Times are microseconds of script time. */

/** When an event happens. */
export interface EventTime {
  kind: "absolute" | "relative" | "any" | "absolute-range" | "relative-range";
  us: number;
  /** Of ranges: the end. */
  endUs: number;
}

export type Direction = "inbound" | "outbound";

/** What is asked of the IP header; undefined: anything. Inbound packets carry it. */
export interface IpSpec {
  /** ECN bits 0-3, or "ect01" for either ECT mark. */
  ecn?: number | "ect01";
  tos?: number;
  ttl?: number;
}

/** One option of a TCP header. `kind` is the number on the wire. */
export interface TcpOption {
  kind: number;
  /** As the script spells it; for messages. */
  name: string;
  /** What follows kind and length on the wire; for TS, SACK and MSS the fields below are used instead. */
  data: number[];
  mss?: number;
  scale?: number;
  /** Sequence numbers of SACK blocks: left, right, left, right ... */
  blocks?: number[];
  value?: number;
  echo?: number;
}

export interface TcpSpec {
  type: "tcp";
  direction: Direction;
  ip: IpSpec;
  sourcePort: number;
  destinationPort: number;
  /** The letters of the flags; "" for none. */
  flags: string;
  /** The flags as bits, FIN = 1 ... CWR = 128, AE = 256. */
  bits: number;
  /** Flags given as an ACE count (AccECN) rather than letters. */
  ace: boolean;
  seq: number;
  /** `...(0)`: any sequence number will do; `seq` is 0. */
  anySeq: boolean;
  length: number;
  ack: number;
  /** -1: not said. */
  window: number;
  urgent: number;
  /** null: `<...>`, any options. */
  options: TcpOption[] | null;
}

export interface UdpSpec {
  type: "udp";
  direction: Direction;
  ip: IpSpec;
  sourcePort: number;
  destinationPort: number;
  length: number;
}

/** The packet that an ICMP error quotes. */
export interface EchoedSpec {
  protocol: "tcp" | "udp" | "raw";
  seq: number;
  length: number;
}

export interface IcmpSpec {
  type: "icmp";
  direction: Direction;
  ip: IpSpec;
  icmpType: number;
  icmpCode: number;
  /** -1: not said. */
  mtu: number;
  echoId: number;
  echoed: EchoedSpec;
}

export type PacketSpec = TcpSpec | UdpSpec | IcmpSpec;

/** An argument or result of a system call. */
export type Expression =
  | { kind: "ellipsis" }
  | { kind: "number"; value: number; text: string }
  | { kind: "word"; name: string }
  | { kind: "string"; value: string; open: boolean }
  | { kind: "or"; left: Expression; right: Expression }
  | { kind: "assign"; name: string; value: Expression }
  | { kind: "list"; items: Expression[] }
  | { kind: "call"; name: string; args: Expression[] }
  | { kind: "struct"; fields: Field[]; items: Expression[] };

/** One member of a structure: `msg_iov(1)=[...]` has the argument 1. */
export interface Field {
  name: string;
  args: Expression[];
  value: Expression;
}

export interface SyscallSpec {
  name: string;
  args: Expression[];
  result: Expression;
  /** Name of the errno, "" when the call is to succeed. */
  error: string;
  /** Of a call that blocks: when it ends (relative as its event is); -1: it does not block. */
  endUs: number;
}

export type Action =
  | { type: "packet"; packet: PacketSpec }
  | { type: "syscall"; syscall: SyscallSpec }
  | { type: "command"; command: string }
  | { type: "code"; code: string };

export interface ScriptEvent {
  time: EventTime;
  line: number;
  action: Action;
}

export interface ScriptOption {
  name: string;
  /** null: none was given. */
  value: string | null;
  line: number;
}

export interface Script {
  options: ScriptOption[];
  /** The command before the first event, "" if there is none. */
  initCommand: string;
  events: ScriptEvent[];
}
