/** The lab's course: builds the small internet, starts the daemon in it, and shows it work or runs a command there. */
import { status } from "../ipc/client.ts";
import { Service } from "./child.ts";
import { messageOf, shellQuote } from "./command.ts";
import { BULK_PORT, DNS_PORT, ECHO_PORT, HTTP_PORT } from "./lab_peer.ts";
import type { LabReport } from "./lab_report.ts";
import {
  buildHosts,
  DNS_ADDRESS,
  HOSTS,
  inside,
  ispOptions,
  joinHosts,
  LAB_DOMAIN,
  type LabHost,
  labPath,
  ROUTER_INTERFACE,
} from "./lab_world.ts";
import { readCidr } from "./links.ts";
import { privateRun } from "./namespaces.ts";
import { selfCommand } from "./self.ts";
import { applySetup, findOwner, planSetup } from "./setup_net.ts";
import { formatBytes } from "./style.ts";

const FOLDER = "/run/lvl-ip-lab";
const ISP_SOCKET = `${FOLDER}/isp.sock`;
const READY_MS = 15_000;
const STOP_MS = 6_000;

/** What may be asked of the lab. */
export interface LabWish {
  /** The isp is a stack of ours that forwards, and no kernel. */
  router?: boolean;
  /** Passed to the daemon. */
  impair?: string;
  /** Settings of the stack's TCP, as the daemon takes them. */
  sysctl?: string[];
}

/** The tools that the lab uses. */
export const LAB_TOOLS = ["ip", "unshare", "nsenter", "setpriv", "setsid", "mount"];

/** The internet with a daemon in it. Everything is in our own namespaces: nothing has to be taken down. */
export class Lab {
  #services: Service[] = [];
  #daemon: Service | null = null;

  constructor(private readonly report: LabReport) {}

  /** What programs inside get: `lvl-ip` on the PATH, the daemon's socket, a temporary folder that goes away too. */
  get environment(): Record<string, string> {
    return {
      PATH: labPath(`${FOLDER}/bin`),
      LVLIP_SOCKET: "/run/lvl-ip/lvl-ip.sock",
      TMPDIR: `${FOLDER}/tmp`,
    };
  }

  /** Builds all of it; whether that went well. */
  async build(wish: LabWish): Promise<boolean> {
    return await this.step("namespaces", async () => {
      await this.#prepare();
      await buildHosts();
      if (!wish.router) await joinHosts(false);
      return `namespaces: router, ${HOSTS.join(", ")}`;
    }) && (!wish.router || await this.#startRouter()) && await this.step("setup-net", async () => {
      const steps = await planSetup({
        iface: ROUTER_INTERFACE,
        tap: "tap0",
        gateway: readCidr("10.0.0.5/24", "--gateway"),
        owner: await findOwner(0),
      });
      await applySetup(steps);
      const count = steps.flatMap((step) => step.commands).length;
      return `setup-net --iface ${ROUTER_INTERFACE} (${count} commands)`;
    }) && await this.step("servers", async () => {
      const servers = [this.#startServer("server"), this.#startServer("dns", "--names")];
      await Promise.all(servers.map((server) => server.ready(READY_MS)));
      return `server.lab: echo ${ECHO_PORT}, bulk ${BULK_PORT}, http ${HTTP_PORT}; dns.lab: names ${DNS_PORT}`;
    }) && await this.step("daemon", async () => {
      const impair = wish.impair === undefined ? [] : ["--impair", wish.impair];
      const sysctl = (wish.sysctl ?? []).flatMap((setting) => ["--sysctl", setting]);
      const names = ["--dns", DNS_ADDRESS, "--dns-search", LAB_DOMAIN];
      const words = [...selfCommand(), "daemon", ...names, ...impair, ...sysctl];
      this.#daemon = Service.start("lvl-ip daemon", words, this.environment);
      return describeReady(await this.#daemon.ready(READY_MS));
    });
  }

  #startServer(host: LabHost, ...options: string[]): Service {
    const words = inside(host, [...selfCommand(), "lab-peer", ...options]);
    const service = Service.start(`${host}'s lab-peer`, words, this.environment);
    this.#services.push(service);
    return service;
  }

  /** The isp as a stack of ours. */
  async #startRouter(): Promise<boolean> {
    return await this.step("isp", async () => {
      const words = [...selfCommand(), "daemon", ...ispOptions(), "--socket", ISP_SOCKET];
      const isp = Service.start("the isp's daemon", inside("isp", words), this.environment);
      this.#services.push(isp);
      await isp.ready(READY_MS);
      await joinHosts(true);
      return "lvl-ip daemon --forward: the isp, with three TAPs";
    });
  }

  /** What the isp has done, if it is a stack of ours. */
  async routerReport(): Promise<string> {
    const { counters } = await status({ socketPath: ISP_SOCKET });
    const size = counters.bytesOut / Math.max(1, counters.framesOut);
    return `the isp passed on ${counters.ipForwarded} packets of ${formatBytes(size)} on average`;
  }

  /** Runs one step and tells how it went; the work answers with the line to show. */
  async step(name: string, work: () => Promise<string>): Promise<boolean> {
    const startedAt = performance.now();
    const took = () => performance.now() - startedAt;
    try {
      const detail = await work();
      this.report.result({ name, ok: true, detail, milliseconds: took() });
      return true;
    } catch (error) {
      this.report.result({ name, ok: false, detail: `${name}: ${messageOf(error)}`, milliseconds: took() });
      return false;
    }
  }

  /** Says so if the daemon has ended by itself. */
  daemonFailure(): string | null {
    const status = this.#daemon?.status ?? null;
    return status === null ? null : `the daemon ended with status ${status.code}${this.#daemon!.lastWords()}`;
  }

  /** Ends the daemon as a user would; how that went. */
  async stopDaemon(): Promise<string> {
    const code = await this.#daemon!.stop(STOP_MS);
    if (code === null) throw new Error(`it did not end within ${STOP_MS / 1000} s of SIGTERM`);
    if (code !== 0) throw new Error(`it ended with status ${code}${this.#daemon!.lastWords()}`);
    return "daemon ended on SIGTERM";
  }

  /** Ends what is still running. */
  async stop(): Promise<void> {
    await this.#daemon?.stop(STOP_MS);
    for (const service of this.#services) await service.stop(STOP_MS);
  }

  /** The command's own exit status. It has the terminal to itself. */
  async runCommand(command: readonly string[], signal: AbortSignal): Promise<number> {
    const [program, ...args] = command;
    const child = new Deno.Command(program, {
      args,
      env: this.environment,
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
    const end = () => child.kill("SIGTERM");
    signal.addEventListener("abort", end);
    const { code } = await child.status;
    signal.removeEventListener("abort", end);
    return code;
  }

  async #prepare(): Promise<void> {
    const entry = selfCommand();
    await privateRun([
      entry[0],
      entry.at(-1)!,
      Deno.cwd(),
      Deno.env.get("HOME") ?? "/",
      Deno.env.get("DENO_DIR") ?? "/",
    ]);
    await Deno.mkdir(`${FOLDER}/bin`, { recursive: true });
    await Deno.mkdir(`${FOLDER}/tmp`, { mode: 0o1777 });
    const wrapper = `#!/bin/sh\nexec ${shellQuote(entry)} "$@"\n`;
    await Deno.writeTextFile(`${FOLDER}/bin/lvl-ip`, wrapper, { mode: 0o755 });
  }
}

/** The daemon's line without the socket's path, for which there is no room and no need here. */
function describeReady(line: string): string {
  return line.replace(/^lvl-ip:/, "lvl-ip daemon:").replace(/, socket .*$/, "");
}
