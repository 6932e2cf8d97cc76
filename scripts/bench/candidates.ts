/** The stacks that are measured beside each other. */
import type { Programs } from "./build.ts";
import type { Contestant } from "./contestant.ts";
import { linkByVeth, startApi, startEmbedded, startInProcess, startKernels, startShim } from "./start.ts";

export interface Candidate {
  name: string;
  what: string;
  /** What it is compiled from, if not from what has its name. */
  needs?: readonly string[];
  /** Sets it up; null: it could not be built. */
  start(programs: Programs): Promise<Contestant> | null;
}

function startOther(programs: Programs, program: string | undefined): Promise<Contestant> | null {
  return program === undefined ? null : startEmbedded(programs, [program, "tap0"]);
}

export const CANDIDATES: readonly Candidate[] = [
  {
    name: "veth",
    what: "the kernel, over a veth pair",
    start: (programs) => startKernels(programs, (world) => linkByVeth(world, true)),
  },
  {
    name: "veth-plain",
    what: "the same without offload (ethtool -K)",
    start: (programs) => startKernels(programs, (world) => linkByVeth(world, false)),
  },
  { name: "ours", what: "lvl-ip embedded in one thread", start: (programs) => startInProcess(programs) },
  {
    name: "ours-plain",
    what: "the same without offload (a TAP without vnet headers)",
    start: (programs) => startInProcess(programs, "--no-offload"),
  },
  {
    name: "api",
    what: "lvl-ip's daemon, a program on the Deno API",
    needs: ["executable"],
    start: (programs) => startApi(programs),
  },
  {
    name: "api-plain",
    what: "the same without offload (daemon --no-offload)",
    needs: ["executable"],
    start: (programs) => startApi(programs, "--no-offload"),
  },
  {
    name: "shim",
    what: "lvl-ip's daemon, a C program under lvl-ip run",
    needs: ["executable"],
    start: (programs) => startShim(programs),
  },
  {
    name: "shim-plain",
    what: "the same without offload",
    needs: ["executable"],
    start: (programs) => startShim(programs, "--no-offload"),
  },
  {
    name: "lwip",
    what: "lwIP 2.1.3, raw API, windows of 1 MB",
    start: (programs) => startOther(programs, programs.lwip),
  },
  {
    name: "gvisor",
    what: "gVisor's netstack of 2022-12",
    start: (programs) => startOther(programs, programs.gvisor),
  },
];
