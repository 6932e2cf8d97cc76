import { check, libc } from "./libc.ts";
import { Block } from "./memory.ts";

/** capabilities(7), at its number's place. */
const NAMES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

export type CapabilityName = typeof NAMES[number];

/** The capability sets of one thread, a bit each (`1n << number`). */
export interface ThreadCapabilities {
  thread: number;
  /** The thread's name (comm). */
  name: string;
  inheritable: bigint;
  permitted: bigint;
  effective: bigint;
  bounding: bigint;
  ambient: bigint;
  noNewPrivileges: boolean;
}

/**
 * The capabilities of every thread of a process, this one unless `pid` says otherwise, as /proc shows them. Threads that
 * end meanwhile are left out. Throws `Deno.errors.NotFound` if there is no such process.
 */
export function readCapabilities(pid: number | "self" = "self"): ThreadCapabilities[] {
  const found: ThreadCapabilities[] = [];
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    try {
      found.push(parseStatus(Number(name), Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`)));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) && !isGone(error)) throw error;
    }
  }
  return found;
}

/** Whether the calling thread may use a capability now. */
export function hasCapability(name: CapabilityName): boolean {
  const status = parseStatus(0, Deno.readTextFileSync("/proc/thread-self/status"));
  return (status.effective & (1n << BigInt(NAMES.indexOf(name)))) !== 0n;
}

/** Whether some thread of this process holds, or could take up, any capability. */
export function hasAnyCapability(): boolean {
  return readCapabilities().some((thread) => (thread.permitted | thread.effective | thread.ambient) !== 0n);
}

/** The names in a set, for messages; unknown numbers as "CAP_41". */
export function capabilityNames(set: bigint): string[] {
  const names: string[] = [];
  for (let number = 0; set >> BigInt(number) !== 0n; number++) {
    if ((set >> BigInt(number)) & 1n) names.push(NAMES[number] ?? `CAP_${number}`);
  }
  return names;
}

/** A thread that ends while its file is being read answers ESRCH. */
function isGone(error: unknown): boolean {
  return error instanceof Error && error.message.includes("os error 3");
}

function parseStatus(thread: number, text: string): ThreadCapabilities {
  const field = (name: string): string => {
    const start = text.indexOf(`\n${name}:`);
    return start < 0 ? "0" : text.slice(start + name.length + 2, text.indexOf("\n", start + 1)).trim();
  };
  return {
    thread,
    name: text.slice(text.indexOf("\t") + 1, text.indexOf("\n")),
    inheritable: BigInt(`0x${field("CapInh")}`),
    permitted: BigInt(`0x${field("CapPrm")}`),
    effective: BigInt(`0x${field("CapEff")}`),
    bounding: BigInt(`0x${field("CapBnd")}`),
    ambient: BigInt(`0x${field("CapAmb")}`),
    noNewPrivileges: field("NoNewPrivs") === "1",
  };
}

const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_CLEAR_ALL = 4n;
const CAPABILITY_VERSION_3 = 0x20080522;

/**
 * Takes every capability from the calling thread, for good: empties its sets, the bounding set too where the thread may
 * (CAP_SETPCAP), and forbids that an exec gives any back. Other threads keep theirs, see `dropCapabilitiesByExec`.
 * Throws `SysError`.
 */
export function dropThreadCapabilities(): void {
  const { prctl, capset } = libc();
  if (hasCapability("CAP_SETPCAP")) {
    // up to the last one that this kernel knows; those of newer kernels included
    for (let number = 0n; prctl(PR_CAPBSET_READ, number, 0n, 0n, 0n) >= 0; number++) {
      check("prctl", prctl(PR_CAPBSET_DROP, number, 0n, 0n, 0n));
    }
  }
  // Also covers what a thread without CAP_SETPCAP had to leave in the bounding set: an exec then gives a root user or a
  // file with capabilities no more than was permitted before, which is nothing.
  check("prctl", prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n));
  check("prctl", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0n, 0n, 0n));
  const header = new Block(8);
  header.words[0] = CAPABILITY_VERSION_3;
  check("capset", capset(header.bytes, new Block(24).bytes));
}

/**
 * Becomes another user for good, in all threads at once (the C library sees to that), which takes every capability of a
 * root user with it, at no cost in time. For a root start on behalf of a known user; a lone root user, as in a user
 * namespace, needs `dropCapabilitiesByExec`. The bounding set stays, out of reach. Throws `SysError` (EPERM),
 * `RangeError` for uid 0.
 */
export function becomeUser(uid: number, gid: number): void {
  if (uid === 0) throw new RangeError("Cannot give up privileges: uid must not be 0");
  const c = libc();
  check("setgroups", c.setgroups(0n, null));
  check("setresgid", c.setresgid(gid, gid, gid));
  check("setresuid", c.setresuid(uid, uid, uid));
}
