/** `lvl-ip lab`: see ../host/lab.ts. */
import { parseImpair } from "../impair/spec.ts";
import { HostError, messageOf, requireTools } from "../host/command.ts";
import { chooseFirewall } from "../host/firewall.ts";
import { Lab, LAB_TOOLS } from "../host/lab.ts";
import { LabReport } from "../host/lab_report.ts";
import { show } from "../host/lab_show.ts";
import { worldPicture } from "../host/lab_world.ts";
import { enteredPrivateNamespaces, requireNamespaces, requireTun, runInside } from "../host/namespaces.ts";
import { styleFor, writeText } from "../host/style.ts";

export interface LabOptions {
  /** The isp in the middle is a stack of ours, too. */
  router?: boolean;
  /** An impairment of the stack's device, as the daemon takes it. */
  impair?: string;
  /** Settings of the stack's TCP, as the daemon takes them. */
  sysctl?: string[];
  /** Bytes of each transfer: 100000000, "100M". */
  size?: string | number;
  json?: boolean;
}

const DEFAULT_SIZE = 100_000_000;

/**
 * Runs the lab, or `command` in it; the exit status. Throws a {@linkcode HostError} when this host does not allow it.
 */
export async function lab(options: LabOptions, command: string[]): Promise<number> {
  const size = readSize(options.size ?? DEFAULT_SIZE);
  if (options.impair !== undefined) parseImpair(options.impair);
  if (enteredPrivateNamespaces()) return await insideLab(options, size, command);
  requireTools(LAB_TOOLS);
  await chooseFirewall(false);
  await requireTun("lab");
  await requireNamespaces("lab");
  return await runInside(Deno.args);
}

async function insideLab(options: LabOptions, size: number, command: string[]): Promise<number> {
  const forCommand = command.length > 0;
  // A command has stdout to itself.
  const stream = forCommand ? Deno.stderr : Deno.stdout;
  const style = styleFor(stream);
  const report = new LabReport(stream, style, options.json ?? false);
  const world = new Lab(report);
  const stop = new AbortController();
  let status = 0;
  const onSignal = (signal: Deno.Signal, code: number) => () => {
    // The terminal sends Ctrl-C to the command as well, which decides for itself what to do with it.
    if (signal === "SIGINT" && forCommand) return;
    status = code;
    stop.abort(new Error("interrupted"));
  };
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    Deno.addSignalListener(signal, onSignal(signal, code));
  }
  if (!forCommand) {
    report.heading(
      "lvl-ip lab: a small internet in private namespaces",
      worldPicture(style.unicode, options.router ?? false),
    );
  }
  if (!await world.build({ impair: options.impair, sysctl: options.sysctl, router: options.router })) {
    status ||= 1;
  } else if (forCommand) status = await runCommand(world, command, stop.signal) || status;
  else {
    const { router = false, impair } = options;
    await show({ lab: world, report, size, lossy: isLossy(impair), router, signal: stop.signal });
  }
  await world.stop();
  if (!forCommand && !report.summary(stop.signal.aborted)) status ||= 1;
  return status;
}

function isLossy(impair: string | undefined): boolean {
  if (impair === undefined) return false;
  const { in: towards, out } = parseImpair(impair);
  return [towards, out].some(({ loss, corrupt }) => loss + corrupt > 0.05);
}

/** The command's exit status; as in a shell, 127 if there is no such command and 126 if it cannot be run. */
async function runCommand(world: Lab, command: readonly string[], signal: AbortSignal): Promise<number> {
  try {
    return await world.runCommand(command, signal);
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound;
    const why = missing ? "there is no such command" : messageOf(error);
    writeText(Deno.stderr, `lvl-ip: Cannot run ${command[0]} in the lab: ${why}\n`);
    return missing ? 127 : 126;
  }
}

/** Reads "100000000", "100M", "1.5GB". Throws a {@linkcode HostError}. */
export function readSize(text: string | number): number {
  const parts = /^([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)b?$/i.exec(`${text}`.trim());
  const unit = { "": 1, k: 1e3, m: 1e6, g: 1e9 }[parts?.[2].toLowerCase() ?? ""];
  const size = parts && unit ? Math.round(Number(parts[1]) * unit) : NaN;
  if (!(size >= 1 && size <= 1e12)) {
    throw new HostError(`--size must be a number of bytes like 100000000 or 100M: current value is ${text}`);
  }
  return size;
}
