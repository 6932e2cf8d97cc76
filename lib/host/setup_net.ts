/** `setup-net`: makes this host a router for the stack's TAP, and takes exactly that back. */
import { findTool, HostError, messageOf, mustRun, requireTools, type Run, run } from "./command.ts";
import {
  chooseFirewall,
  type FirewallKind,
  firewallSteps,
  undoIptables,
  undoNftRule,
  undoNftTable,
} from "./firewall.ts";
import { type Link, listLinks, networkOf } from "./links.ts";
import { CAP_NET_ADMIN, hasCapability } from "./privileges.ts";
import {
  checkWish,
  forwardingCommand,
  type HostFacts,
  type Owner,
  planDevice,
  type SetupRecord,
  type SetupWish,
  type Step,
} from "./setup_plan.ts";
import { readState, STATE_FILE, writeState } from "./setup_state.ts";
import { inspectTunNode, TUN_NODE } from "./tun_node.ts";

export const IP_FORWARD = "/proc/sys/net/ipv4/ip_forward";

/** Where and how the work is done; tests and the lab set these. */
export interface SetupContext {
  runner?: Run;
  stateFile?: string;
  /** Which tool writes the rules; without it, what the host has. */
  firewall?: FirewallKind;
  /** Told before each step. */
  onStep?: (what: string, commands: string[][]) => void;
  /** Stops between two steps, and takes back those that were done. */
  signal?: AbortSignal;
}

/** Finds a user by name or number. Throws a {@linkcode HostError}. */
export async function findOwner(user: string | number, runner: Run = run): Promise<Owner> {
  const answers = await Promise.all(
    [["-u"], ["-un"], ["-G"]].map((flag) => runner(["id", ...flag, "--", `${user}`])),
  );
  const [uid, name, groups] = answers.map((answer) => answer.stdout.trim());
  if (answers.every((answer) => answer.code === 0)) {
    return { uid: Number(uid), name, groups: groups.split(" ").map(Number) };
  }
  // A number needs no entry in /etc/passwd: users of containers often have none.
  if (/^[0-9]+$/.test(`${user}`)) return { uid: Number(user), name: `${user}`, groups: [] };
  throw new HostError(`There is no user ${user}`);
}

/** How the host is now. */
export async function gatherFacts(runner: Run = run): Promise<HostFacts> {
  requireTools(["ip"]);
  return {
    tunNode: await inspectTunNode(),
    links: await listLinks(runner),
    ipForward: (await Deno.readTextFile(IP_FORWARD)).trim(),
    sysctl: findTool("sysctl") !== null,
  };
}

/** What is left to do for a wish; empty if all of it is already so. Reads only, and needs no root. */
export async function planSetup(wish: SetupWish, context: SetupContext = {}): Promise<Step[]> {
  const { runner = run } = context;
  const facts = await gatherFacts(runner);
  checkWish(wish, facts);
  const mayRead = hasCapability(CAP_NET_ADMIN);
  const kind = context.firewall ?? await chooseFirewall(mayRead, runner);
  const passage = { tap: wish.tap, iface: wish.iface, network: networkOf(wish.gateway) };
  return [...planDevice(wish, facts), ...await firewallSteps(kind, passage, mayRead, runner)];
}

/** Carries a plan out. When a step fails, those before it are taken back and the failure is thrown. */
export async function applySetup(steps: readonly Step[], context: SetupContext = {}): Promise<void> {
  const { runner = run, stateFile = STATE_FILE, onStep, signal } = context;
  const earlier = await readState(stateFile);
  const added: SetupRecord[] = [];
  try {
    for (const step of steps) {
      if (signal?.aborted) throw new HostError("Interrupted");
      onStep?.(step.what, step.commands);
      // Remembered before it is done: a step that was cut off half way can be taken back, an unknown one cannot.
      added.push(step.record);
      await writeState(stateFile, [...earlier, ...added]);
      for (const command of step.commands) await mustRun(command, runner);
    }
  } catch (error) {
    const left = await takeBack(added, runner);
    await writeState(stateFile, [...earlier, ...left.map(({ record }) => record)]);
    const outcome = left.length === 0 ? "what was done before is taken back" : `also ${left[0].problem}`;
    throw new HostError(`${messageOf(error)} (${outcome})`);
  }
}

interface Leftover {
  record: SetupRecord;
  problem: string;
}

async function takeBack(
  records: readonly SetupRecord[],
  runner: Run,
  onStep?: SetupContext["onStep"],
): Promise<Leftover[]> {
  const left: Leftover[] = [];
  for (const record of [...records].reverse()) {
    try {
      const commands = await undoCommands(record, runner);
      if (commands.length > 0) onStep?.(undoTitle(record), commands);
      for (const command of commands) await mustRun(command, runner);
    } catch (error) {
      left.unshift({ record, problem: messageOf(error) });
    }
  }
  return left;
}

/** What `undoSetup` would run, in order. */
export async function planUndo(context: SetupContext = {}): Promise<string[][]> {
  const { runner = run, stateFile = STATE_FILE } = context;
  const commands: string[][] = [];
  for (const record of (await readState(stateFile)).reverse()) {
    commands.push(...await undoCommands(record, runner));
  }
  return commands;
}

/**
 * Takes back exactly what was added, the last first. What cannot be taken back stays remembered and is thrown as a
 * {@linkcode HostError}. False if nothing was added.
 */
export async function undoSetup(context: SetupContext = {}): Promise<boolean> {
  const { runner = run, stateFile = STATE_FILE, onStep } = context;
  const records = await readState(stateFile);
  if (records.length === 0) return false;
  for (const record of records) {
    if (record.kind === "tap") await requireUnused(record.tap, runner);
  }
  const left = await takeBack(records, runner, onStep);
  await writeState(stateFile, left.map(({ record }) => record));
  if (left.length > 0) throw new HostError(left.map(({ problem }) => problem).join("; "));
  return true;
}

/** The kernel takes up to a second to notice that a TAP was closed. */
const CARRIER_TRIES = 15;
const CARRIER_WAIT_MS = 100;

async function requireUnused(tap: string, runner: Run): Promise<void> {
  for (let tries = 0; tries < CARRIER_TRIES; tries++) {
    if (!findLink(await listLinks(runner), tap)?.carrier) return;
    await new Promise((resolve) => setTimeout(resolve, CARRIER_WAIT_MS));
  }
  throw new HostError(`${tap} is in use: end the daemon that runs on it, then repeat this`);
}

function findLink(links: readonly Link[], name: string): Link | undefined {
  return links.find((link) => link.name === name);
}

/** The commands that take one thing back; none if it is no longer there. */
async function undoCommands(record: SetupRecord, runner: Run): Promise<string[][]> {
  switch (record.kind) {
    case "tun-node":
      if ((await inspectTunNode()).node === null) return [];
      return [["rm", "-f", TUN_NODE], ...(record.madeFolder ? [["rmdir", "/dev/net"]] : [])];
    case "tun-mode": {
      const { node } = await inspectTunNode();
      const mode = record.earlier.toString(8);
      return node === null || node.mode === record.earlier ? [] : [["chmod", mode, TUN_NODE]];
    }
    case "tap":
      return findLink(await listLinks(runner), record.tap) === undefined
        ? []
        : [["ip", "tuntap", "del", "dev", record.tap, "mode", "tap"]];
    case "address":
      return findLink(await listLinks(runner), record.tap)?.addresses.includes(record.address)
        ? [["ip", "addr", "del", record.address, "dev", record.tap]]
        : [];
    case "link-up":
      return findLink(await listLinks(runner), record.tap)?.up
        ? [["ip", "link", "set", "dev", record.tap, "down"]]
        : [];
    case "ip-forward":
      return (await Deno.readTextFile(IP_FORWARD)).trim() === record.earlier
        ? []
        : [forwardingCommand(record.earlier, findTool("sysctl") !== null)];
    case "iptables":
      return await undoIptables(record.rule, runner);
    case "nft-table":
      return await undoNftTable(runner);
    case "nft-rule":
      return await undoNftRule(record, runner);
  }
}

function undoTitle(record: SetupRecord): string {
  switch (record.kind) {
    case "tun-node":
      return `device node ${TUN_NODE} removed`;
    case "tun-mode":
      return `${TUN_NODE} as it was`;
    case "tap":
      return `TAP ${record.tap} removed`;
    case "address":
      return `address ${record.address} removed`;
    case "link-up":
      return `${record.tap} down`;
    case "ip-forward":
      return `IPv4 forwarding back to ${record.earlier}`;
    case "iptables":
      return `rule removed from ${record.rule.chain}`;
    case "nft-table":
      return "nft table removed";
    case "nft-rule":
      return `rule removed from ${record.chain}`;
  }
}
