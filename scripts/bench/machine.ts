/** The machine that a run was on, and how busy others kept it. */

export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  kernel: string;
  deno: string;
  /** The stack that was measured; "+": and changes that are in no commit. */
  commit: string;
  /** When it began, to the minute, UTC. */
  began: string;
  /** Of the last minute before it began: what the machine was busy with besides. */
  loadBefore: number;
  /** CPU time that the hypervisor gave to others during the run, percent. */
  stolenPercent: number;
}

async function say(...words: string[]): Promise<string> {
  const [program, ...args] = words;
  const { success, stdout } = await new Deno.Command(program, { args, cwd: import.meta.dirname }).output();
  return success ? new TextDecoder().decode(stdout).trim() : "";
}

/** All CPU time since the machine started, and what of it was stolen; in ticks. */
function cpuTicks(): { all: number; stolen: number } {
  // "cpu  user nice system idle iowait irq softirq steal guest guest_nice": the guests' is in user and nice too.
  const [line] = Deno.readTextFileSync("/proc/stat").split("\n");
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return { all: ticks.reduce((sum, each) => sum + each, 0), stolen: ticks[7] };
}

/** Looks at the machine now; the function that is returned is called at the end of the run. */
export async function describeMachine(): Promise<() => Machine> {
  const cpu = /^model name\s*: (.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1] ?? "unknown";
  const before = cpuTicks();
  const changed = (await say("git", "status", "--porcelain", "--", "../../lib", "../../ffi")) !== "";
  const began: Omit<Machine, "stolenPercent"> = {
    cpu,
    cores: navigator.hardwareConcurrency,
    memoryGb: Math.round(Deno.systemMemoryInfo().total / 1e9),
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
    commit: (await say("git", "rev-parse", "--short", "HEAD")) + (changed ? "+" : ""),
    began: new Date().toISOString().slice(0, 16),
    loadBefore: Deno.loadavg()[0],
  };
  return () => {
    const now = cpuTicks();
    const stolen = (now.stolen - before.stolen) / (now.all - before.all) * 100;
    return { ...began, stolenPercent: Number(stolen.toFixed(1)) };
  };
}

/** One line for people. */
export function machineLine(machine: Machine): string {
  const { cpu, cores, memoryGb, kernel, deno, commit, began, loadBefore, stolenPercent } = machine;
  return `${cores} cores of ${cpu}, ${memoryGb} GB, Linux ${kernel}, Deno ${deno}, commit ${commit}, ${began} UTC, ` +
    `load before ${loadBefore.toFixed(1)}, ${stolenPercent} % of CPU time stolen`;
}
