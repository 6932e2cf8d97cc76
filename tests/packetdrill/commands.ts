import { googleDefaults, type Settings, sysctlEffect } from "./sysctls.ts";

export interface StateAssertion {
  state: string;
  count: number;
  /** Only sockets that the script itself holds count. */
  owned: boolean;
}

/** What the shell commands of a script come to. */
export interface CommandEffect {
  settings: Settings;
  /** What was not done. */
  notes: string[];
  /** The queue of the device takes nothing from now on, or something again. */
  queueIsShut?: boolean;
  /** `sockstat ... | grep -c TIME_WAIT | grep 1`: so many sockets are to be in this state. */
  assertions: StateAssertion[];
}

/** Commands that look after what a stack of its own does not have: interfaces, queues, caches, clean-up. */
const WITHOUT_EFFECT = /^(sysctl_restore\S*|tc|nstat|true|sync|kldload|kldunload|ulimit|set|exit|source|\.)$/;

/** Understands the commands in backquotes; nothing is ever executed. */
export function interpretCommands(text: string): CommandEffect {
  const effect: CommandEffect = { settings: {}, notes: [], assertions: [] };
  for (const line of text.split(/\n|;|&&/)) {
    const command = line.trim().replace(/(^|\s)#.*$/, "").trim();
    if (command !== "") interpretCommand(command, effect);
  }
  return effect;
}

function interpretCommand(command: string, effect: CommandEffect): void {
  const words = splitWords(command);
  const program = words[0].split("/").pop() ?? "";
  if (program === "defaults.sh") Object.assign(effect.settings, googleDefaults());
  else if (program === "set_sysctls.py") applyAssignments(words.slice(1), effect);
  else if (program === "sysctl") {
    applyAssignments(words.slice(1).filter((word) => !/^-[a-z]+$/.test(word)), effect);
  } else if (program === "echo") applyEcho(words, command, effect);
  else if (program === "ip" && words[1] === "route") applyRoute(words, command, effect);
  else if (program === "tc" && /^tc qdisc (add|replace)\b/.test(command)) {
    effect.settings.pacing = /\bfq\b/.test(command);
    effect.queueIsShut = /\blimit 0\b/.test(command);
  } else if (program === "sockstat" || program === "netstat") applySocketState(command, effect);
  else if (!WITHOUT_EFFECT.test(program)) effect.notes.push(`ignored: ${command}`);
}

/** Words as the shell cuts them: quotes keep spaces together. */
function splitWords(command: string): string[] {
  const words = command.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  return words.map((word) => word.replace(/["']/g, ""));
}

function applyAssignments(words: string[], effect: CommandEffect): void {
  for (const word of words) {
    const equals = word.indexOf("=");
    if (equals > 0) applySysctl(word.slice(0, equals), word.slice(equals + 1), effect);
  }
}

function applySysctl(path: string, value: string, effect: CommandEffect): void {
  const name = path.replace(/^\/proc\/sys\//, "").replaceAll("/", ".");
  const { settings, ignored } = sysctlEffect(name, arithmetic(value));
  Object.assign(effect.settings, settings);
  if (ignored) effect.notes.push(`ignored: ${name}=${value}`);
}

/** `$((15*1024*1024))` is the only arithmetic in these scripts: products. */
function arithmetic(value: string): string {
  return value.replace(
    /\$\(\(([0-9* ]+)\)\)/g,
    (_, product: string) => String(product.split("*").reduce((result, factor) => result * Number(factor), 1)),
  );
}

/** `echo 1 > /proc/sys/net/ipv4/tcp_sack`. */
function applyEcho(words: string[], command: string, effect: CommandEffect): void {
  const arrow = words.indexOf(">");
  const target = words[arrow + 1] ?? "";
  if (arrow > 0 && target.startsWith("/proc/sys/")) {
    applySysctl(target, words.slice(1, arrow).join(" "), effect);
  } else effect.notes.push(`ignored: ${command}`);
}

/** `ip route change ... initcwnd 11 rto_min 5ms advmss 600`: what a route says about TCP. */
function applyRoute(words: string[], command: string, effect: CommandEffect): void {
  const after = (name: string) => words.includes(name) ? words[words.indexOf(name) + 1] : undefined;
  const initialWindow = after("initcwnd");
  const mss = after("advmss");
  const rtoMin = after("rto_min");
  const congestion = after("congctl");
  if (initialWindow !== undefined) effect.settings.initialWindow = Number(initialWindow);
  if (mss !== undefined) effect.settings.mss = Number(mss);
  if (rtoMin !== undefined) effect.settings.rtoMinUs = milliseconds(rtoMin) * 1000;
  if (congestion !== undefined) effect.settings.congestion = congestion;
  const understood = initialWindow ?? mss ?? rtoMin ?? congestion;
  if (understood === undefined || words.includes("mtu")) effect.notes.push(`ignored: ${command}`);
}

function milliseconds(text: string): number {
  if (text.endsWith("ms")) return parseFloat(text);
  return text.endsWith("s") ? parseFloat(text) * 1000 : Number(text);
}

function applySocketState(command: string, effect: CommandEffect): void {
  const state = /grep\s+(?:-[a-z]+\s+)*"?([A-Z][A-Z_]+[A-Z0-9])\b/.exec(command)?.[1];
  const count = /grep\s+(?:-[a-z]+\s+)*"?\^?([0-9]+)\$?"?\s*$/.exec(command)?.[1];
  if (state === undefined || count === undefined) effect.notes.push(`ignored: ${command}`);
  else effect.assertions.push({ state, count: Number(count), owned: /grep\s+"?packetdril/.test(command) });
}
