/** `lvl-ip setup-net`: see ../host/setup_net.ts. */
import { HostError, shellQuote } from "../host/command.ts";
import { listLinks, neighbourOf, readCidr } from "../host/links.ts";
import { callingUser, requireNetworkAdmin } from "../host/privileges.ts";
import { asRoot } from "../host/self.ts";
import { applySetup, findOwner, planSetup, planUndo, undoSetup } from "../host/setup_net.ts";
import type { SetupWish } from "../host/setup_plan.ts";
import { styleFor } from "../host/style.ts";

const DEFAULT_GATEWAY = "10.0.0.5/24";

export interface SetupNetOptions {
  iface?: string;
  tap?: string;
  gateway?: string;
  owner?: string;
  dryRun?: boolean;
  undo?: boolean;
  json?: boolean;
}

/** What `--json` prints. */
interface Report {
  action: "setup" | "undo";
  dryRun: boolean;
  /** False when everything was so already. */
  changed: boolean;
  commands: string[][];
}

/** Runs the command; the exit status. Throws a {@linkcode HostError} that says what stands in the way. */
export async function setupNet(options: SetupNetOptions): Promise<number> {
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, onSignal);
  try {
    const report = options.undo ? await undo(options) : await setUp(options, interrupt.signal);
    if (options.json) console.log(JSON.stringify(report));
    return 0;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.removeSignalListener(signal, onSignal);
  }
}

async function setUp(options: SetupNetOptions, signal: AbortSignal): Promise<Report> {
  if (!options.iface) {
    const names = (await listLinks()).map(({ name }) => name).filter((name) => name !== "lo");
    throw new HostError(
      `--iface is missing: the interface towards the network; this host has ${names.join(", ") || "none"}`,
    );
  }
  const wish: SetupWish = {
    iface: options.iface,
    tap: options.tap ?? "tap0",
    gateway: readCidr(options.gateway ?? DEFAULT_GATEWAY, "--gateway"),
    owner: await findOwner(options.owner ?? callingUser()),
  };
  const steps = await planSetup(wish);
  const commands = steps.flatMap((step) => step.commands);
  const report: Report = {
    action: "setup",
    dryRun: options.dryRun ?? false,
    changed: steps.length > 0,
    commands,
  };
  if (options.dryRun) {
    if (!options.json) print(commands, `already set up: ${describe(wish)}`);
    return report;
  }
  if (steps.length > 0) requireNetworkAdmin("setup-net", Deno.args);
  await applySetup(steps, { onStep: announce(options), signal });
  if (!options.json) console.log(conclusion(wish, steps.length > 0));
  return report;
}

async function undo(options: SetupNetOptions): Promise<Report> {
  requireNetworkAdmin("setup-net --undo", Deno.args);
  const commands = await planUndo();
  const report: Report = {
    action: "undo",
    dryRun: options.dryRun ?? false,
    changed: commands.length > 0,
    commands,
  };
  const nothing = "nothing to undo: setup-net has added nothing here since the last boot";
  if (options.dryRun) {
    if (!options.json) print(commands, nothing);
    return report;
  }
  const changed = await undoSetup({ onStep: announce(options) });
  if (!options.json) console.log(changed ? "everything that setup-net added is taken back" : nothing);
  return report;
}

/** Names each step as it begins. */
function announce({ json }: SetupNetOptions): (what: string) => void {
  const style = styleFor(Deno.stdout);
  return (what) => {
    if (!json) console.log(`  ${style.green("+")} ${what}`);
  };
}

function print(commands: readonly string[][], otherwise: string): void {
  console.log(commands.length === 0 ? otherwise : commands.map(shellQuote).join("\n"));
}

function describe(wish: SetupWish): string {
  return `${wish.tap} (${wish.gateway.text}, user ${wish.owner.name}) goes out through ${wish.iface}`;
}

function conclusion(wish: SetupWish, changed: boolean): string {
  const daemon = ["lvl-ip", "daemon", ...(wish.tap === "tap0" ? [] : ["--tap", wish.tap])];
  if (wish.gateway.text !== DEFAULT_GATEWAY) {
    daemon.push("--addr", neighbourOf(wish.gateway), "--gateway", wish.gateway.text.split("/")[0]);
  }
  return [
    `${changed ? "set up" : "already set up"}: ${describe(wish)}`,
    `now, without root:  ${shellQuote(daemon)}`,
    `to take it back:    ${asRoot(["setup-net", "--undo"])}`,
  ].join("\n");
}
