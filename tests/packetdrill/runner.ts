import type { CommandEffect } from "./commands.ts";
import type { Script, ScriptEvent, ScriptOption, SyscallSpec } from "./ast.ts";
import { beginCall, resultDifference } from "./calls.ts";
import { interpretCommands } from "./commands.ts";
import { applyOptions, defaultConfig, headersLength, type RunConfig, Unsupported } from "./config.ts";
import { Descriptors } from "./descriptors.ts";
import { checkTime, Mismatch, scriptTime, type TimedEvent, Timeline } from "./events.ts";
import type { Flow } from "./flow.ts";
import { ScriptError } from "./lexer.ts";
import { Machine, START_US } from "./machine.ts";
import { BLOCKED, type Kernel, type Operation } from "./operation.ts";
import { PacketEvents } from "./packet_events.ts";
import { parseScript } from "./parser.ts";
import { preprocess } from "./preprocess.ts";
import { AssertionFailed, PythonError, type PyValue, runPython } from "./python.ts";
import { formatPacket, formatSeconds, type Packet } from "./segment.ts";
import { FREEBSD_DEFAULTS, googleDefaults, type Settings } from "./sysctls.ts";
import { infoSymbols, tcpInfoNames } from "./tcp_info.ts";
import { BadFrame } from "./wire.ts";
import { SocketName } from "../../lib/stack/socket_types.ts";
import { SocketOption, SOL_SOCKET } from "../../lib/tcp/options.ts";
import { State, stateName } from "../../lib/tcp/state.ts";

export interface RunResult {
  status: "pass" | "fail" | "unsupported";
  /** Where, if it did not pass; 0: not at one line. */
  line: number;
  /** Why, if it did not pass. */
  message: string;
  /** What was ignored. */
  notes: string[];
  /** The script is for IPv6, which the stack does not have: it is TCP over IPv4 that passed or failed. */
  isForIpv6: boolean;
}

export interface RunOptions {
  loose?: boolean;
  toleranceUs?: number;
  /** Options of packetdrill's, given before those of the script. */
  given?: ScriptOption[];
  /** Takes a line for each packet and call; for `--verbose`. */
  trace?: (line: string) => void;
}

/** Runs one script against a fresh stack. Never throws: whatever goes wrong is in the result. */
export function runScript(source: string, options: RunOptions = {}): RunResult {
  const notes: string[] = [];
  const config = defaultConfig();
  config.loose = options.loose ?? false;
  let run: ScriptRun | null = null;
  try {
    // Where the standard and one operating system differ, scripts can say both. `loose` is for those of FreeBSD.
    const script = parseScript(preprocess(source, [config.loose ? "FreeBSD" : "STANDARD"]));
    if (options.toleranceUs !== undefined) config.toleranceUs = options.toleranceUs;
    notes.push(...applyOptions(config, [...options.given ?? [], ...script.options]));
    run = new ScriptRun(script, config, notes, options.trace ?? (() => {}));
    run.run();
    return { status: "pass", line: 0, message: "", notes, isForIpv6: config.isForIpv6 };
  } catch (error) {
    return { ...failure(error, run?.line ?? 0), notes, isForIpv6: config.isForIpv6 };
  }
}

function failure(error: unknown, line: number): Omit<RunResult, "notes" | "isForIpv6"> {
  if (error instanceof Mismatch) return { status: "fail", line: error.line, message: error.message };
  if (error instanceof AssertionFailed) return { status: "fail", line, message: `expected ${error.message}` };
  if (error instanceof BadFrame) {
    return { status: "fail", line, message: `expected a well-formed frame, got one with ${error.message}` };
  }
  if (error instanceof ScriptError) {
    return { status: "unsupported", line: error.line, message: error.message };
  }
  if (error instanceof Unsupported || error instanceof PythonError) {
    return { status: "unsupported", line, message: error.message };
  }
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  return { status: "fail", line, message: `the stack threw: ${text}` };
}

/** A call that waits, as in a thread of its own. */
interface WaitingCall {
  spec: SyscallSpec;
  operation: Operation;
  /** When it is to be over. */
  timed: TimedEvent;
}

class ScriptRun implements Kernel {
  readonly config: RunConfig;
  readonly flows: Flow[] = [];
  underTest: Flow | null = null;
  pathMtuIsFixed = false;
  /** The line that is being run. */
  line = 0;
  readonly #script: Script;
  readonly #notes: string[];
  readonly #trace: (line: string) => void;
  readonly #timeline = new Timeline();
  readonly #names = new Map<string, PyValue>();
  readonly #packets = new PacketEvents(this);
  readonly #settings: Settings = {};
  #waiting: WaitingCall[] = [];
  #machine: Machine | null = null;
  #descriptors: Descriptors | null = null;

  constructor(script: Script, config: RunConfig, notes: string[], trace: (line: string) => void) {
    this.#script = script;
    this.config = config;
    this.#notes = notes;
    this.#trace = trace;
    this.#set(config.loose ? FREEBSD_DEFAULTS : googleDefaults());
  }

  #set(settings: Settings): void {
    const made = this.config.loose
      ? roundReceiveBuffer(settings, this.config.mtu - headersLength(this.config))
      : settings;
    Object.assign(this.#settings, made);
    if (this.#machine !== null) Object.assign(this.#machine.settings, made);
  }

  /** Made when it is first needed, so that the commands before that have told its settings. */
  get machine(): Machine {
    if (this.#machine === null) {
      this.#machine = new Machine(
        this.config,
        this.#settings,
        (packet, inbound) => this.#show(packet, inbound),
      );
      this.#machine.onProgress = () => this.#tryWaiting();
    }
    return this.#machine;
  }

  get descriptors(): Descriptors {
    return this.#descriptors ??= new Descriptors(this.machine);
  }

  note(text: string): void {
    if (!this.#notes.includes(text)) this.#notes.push(text);
  }

  run(): void {
    if (this.#script.initCommand !== "") this.#command(this.#script.initCommand);
    for (const event of this.#script.events) {
      this.line = event.line;
      const now = this.#machine === null ? 0 : scriptTime(this.#machine.now);
      this.#runEvent(this.#timeline.settle(event, now));
    }
    for (const call of [...this.#waiting]) this.#finish(call);
  }

  #runEvent(timed: TimedEvent): void {
    const { action } = timed.event;
    if (action.type === "packet" && action.packet.direction === "outbound") {
      this.#tolerating(this.config.nonFatalPacket, () => this.#packets.outbound(timed, action.packet));
      return;
    }
    if (timed.startUs > 0 || this.#machine !== null) this.machine.advanceTo(timed.startUs + START_US);
    const now = this.#machine === null ? 0 : scriptTime(this.#machine.now);
    checkTime(this.config, timed, now, `line ${timed.event.line}`);
    if (action.type === "packet") this.#packets.inbound(timed, action.packet);
    else if (action.type === "syscall") {
      this.#tolerating(this.config.nonFatalSyscall, () => this.#syscall(timed, action.syscall));
    } else if (action.type === "command") this.#command(action.command);
    else this.#code(action.code);
  }

  #tolerating(nonFatal: boolean, run: () => void): void {
    try {
      run();
    } catch (error) {
      if (!nonFatal || !(error instanceof Mismatch)) throw error;
      this.note(`line ${error.line}: ${error.message}`);
    }
  }

  #syscall(timed: TimedEvent, spec: SyscallSpec): void {
    const blocks = spec.endUs >= 0;
    // Like packetdrill, with its one thread: a call that waits makes the next such call wait for its turn.
    if (blocks) { for (const call of [...this.#waiting]) this.#finish(call); }
    const operation = beginCall(spec, this);
    const result = operation.attempt();
    if (result === BLOCKED) {
      if (!blocks) {
        throw new Mismatch(`expected ${spec.name} to return, got a call that waits`, timed.event.line);
      }
      const offset = timed.startUs - timed.event.time.us;
      const endUs = spec.endUs + offset;
      const end: TimedEvent = { ...timed, startUs: endUs, endUs, sinceLastUs: endUs - timed.startUs };
      this.#waiting.push({ spec, operation, timed: end });
      this.#setWakeUp();
    } else {
      if (blocks) this.#checkEnd(timed, spec);
      this.#complete(timed.event, spec, operation, result);
    }
    this.machine.settle();
  }

  #checkEnd(timed: TimedEvent, spec: SyscallSpec): void {
    const endUs = spec.endUs + timed.startUs - timed.event.time.us;
    const end = { ...timed, startUs: endUs, endUs, sinceLastUs: endUs - timed.startUs };
    checkTime(this.config, end, scriptTime(this.machine.now), `the end of ${spec.name}`);
  }

  #complete(event: ScriptEvent, spec: SyscallSpec, operation: Operation, result: number): void {
    this.#trace(`${formatSeconds(scriptTime(this.machine.now)).padStart(10)}   ${spec.name} = ${result}`);
    const wrong = resultDifference(spec, this, operation, result);
    if (wrong !== null) throw new Mismatch(`${spec.name}: ${wrong}`, event.line);
  }

  #tryWaiting(): void {
    for (const call of [...this.#waiting]) {
      const result = call.operation.attempt();
      if (result === BLOCKED) continue;
      this.#waiting = this.#waiting.filter((each) => each !== call);
      this.#tolerating(this.config.nonFatalSyscall, () => {
        this.#complete(call.timed.event, call.spec, call.operation, result);
        checkTime(this.config, call.timed, scriptTime(this.machine.now), `the end of ${call.spec.name}`);
      });
    }
    this.#setWakeUp();
  }

  #setWakeUp(): void {
    this.machine.wakeUpUs = Math.min(
      Infinity,
      ...this.#waiting.map(({ operation }) => operation.deadlineUs ?? Infinity),
    );
  }

  /** Lets time pass until a waiting call is over. */
  #finish(call: WaitingCall): void {
    const PATIENCE_US = 5_000_000;
    this.machine.advanceWhile(
      () => this.#waiting.includes(call),
      call.timed.endUs + START_US + this.config.toleranceUs + PATIENCE_US,
    );
    if (!this.#waiting.includes(call)) return;
    throw new Mismatch(
      `expected ${call.spec.name} to end at ${
        formatSeconds(call.timed.endUs)
      } s, got a call that still waits`,
      call.timed.event.line,
    );
  }

  #command(command: string): void {
    const effect = interpretCommands(command);
    for (const text of effect.notes) this.note(text);
    this.#set(effect.settings);
    if (effect.queueIsShut === true || this.#machine !== null) {
      this.machine.queueIsShut = effect.queueIsShut ?? this.machine.queueIsShut;
    }
    this.#checkStates(effect);
  }

  #checkStates({ assertions }: CommandEffect): void {
    for (const { state, count, owned } of assertions) {
      const states = owned ? this.#ownedStates() : this.#allStates();
      const found = states.filter((each) => freebsdState(each) === state.replaceAll("_", "-")).length;
      if (found !== count) {
        throw new Mismatch(`expected ${count} sockets in ${state}, got ${found}`, this.line);
      }
    }
  }

  /** States of the connections that a descriptor of the script stands for. */
  #ownedStates(): string[] {
    const name = new SocketName();
    return [...this.machine.stack.sockets()].map((handle) => {
      this.machine.stack.name(handle, name);
      return stateName(name.state);
    });
  }

  #allStates(): string[] {
    const { stack } = this.machine;
    const states = [...stack.connections()].map(({ tcb }) => stateName(tcb.state));
    for (const _ of stack.timeWaits()) states.push(stateName(State.TIME_WAIT));
    return states;
  }

  #code(code: string): void {
    const fd = this.underTest?.fd ?? -1;
    const descriptor = fd < 0 ? undefined : this.descriptors.get(fd);
    for (const [name, value] of infoSymbols()) this.#names.set(name, value);
    if (descriptor?.kind === "socket") {
      for (const [name, value] of tcpInfoNames(this.machine.info(descriptor.handle))) {
        this.#names.set(name, value);
      }
      for (const [name, option] of SOCKET_MEMORY) {
        this.#names.set(name, this.machine.stack.getOption(descriptor.handle, SOL_SOCKET, option));
      }
    }
    runPython(code, this.#names, (line) => this.#trace(`             ${line}`));
  }

  #show(packet: Packet, inbound: boolean): void {
    const time = formatSeconds(scriptTime(packet.atUs)).padStart(10);
    this.#trace(
      `${time} ${inbound ? "<" : ">"} ${formatPacket(inbound ? packet : this.#readable(packet), true)}`,
    );
  }

  /** A segment of ours with numbers relative to the connection's, if it is known already. */
  #readable(packet: Packet): Packet {
    const flow = this.flows.find((each) => each.localPort === packet.sourcePort && each.liveLocalIsn !== 0);
    return flow === undefined || packet.type !== "tcp" ? packet : flow.mapOutbound(packet);
  }
}

/** What packetdrill gives the code in scripts of SO_MEMINFO, and where else it is told. */
const SOCKET_MEMORY: [string, number][] = [
  ["SK_MEMINFO_RCVBUF", SocketOption.RCVBUF],
  ["SK_MEMINFO_SNDBUF", SocketOption.SNDBUF],
];

/** FreeBSD makes a receive buffer a multiple of the segment size, rounding up. */
function roundReceiveBuffer(settings: Settings, mss: number): Settings {
  const { receiveBuffer } = settings;
  return receiveBuffer === undefined
    ? settings
    : { ...settings, receiveBuffer: Math.ceil(receiveBuffer / mss) * mss };
}

/** FreeBSD's names for states where they differ from RFC 9293's. */
function freebsdState(name: string): string {
  return { "SYN-RECEIVED": "SYN-RCVD" }[name] ?? name;
}
