/** `lvl-ip doctor`: see ../host/doctor.ts. */
import { hostServers } from "../daemon/name_files.ts";
import { aptCommand } from "../host/command.ts";
import { type Check, diagnose, type Diagnosis } from "../host/doctor.ts";
import { gatherDoctorFacts } from "../host/doctor_facts.ts";
import { asRoot, ownCommandLine } from "../host/self.ts";
import { type Style, styleFor } from "../host/style.ts";

export interface DoctorOptions {
  tap?: string;
  socket?: string;
  json?: boolean;
}

/** Prints what a run needs and lacks; 0 if the lab or the daemon can be run, else 1. */
export async function doctor(options: DoctorOptions): Promise<number> {
  const facts = await gatherDoctorFacts(options.tap ?? "tap0", hostServers(), options.socket);
  const diagnosis = diagnose(facts, {
    asRoot,
    own: ownCommandLine,
    apt: aptCommand,
    sudo: Deno.uid() === 0 ? "" : "sudo ",
  });
  const { lab, daemon } = diagnosis.possible;
  console.log(options.json ? JSON.stringify(diagnosis) : formatDiagnosis(diagnosis, styleFor(Deno.stdout)));
  return lab || daemon ? 0 : 1;
}

/** The table and the verdict. */
export function formatDiagnosis({ checks, possible }: Diagnosis, style: Style): string {
  const width = Math.max(...checks.map((check) => check.name.length));
  const rows = checks.flatMap((check) => formatCheck(check, width, style));
  const can = [...(possible.lab ? ["lvl-ip lab"] : []), ...(possible.daemon ? ["lvl-ip daemon"] : [])];
  const verdict = can.length > 0
    ? `${style.green("A run is possible")}: ${can.join(", ")}`
    : style.red("No run is possible yet: mend what fails above");
  return [...rows, "", verdict].join("\n");
}

function formatCheck({ name, status, detail, mend }: Check, width: number, style: Style): string[] {
  const paint = { ok: style.green, warn: style.yellow, fail: style.red }[status];
  const row = `${paint(status.padEnd(4))}  ${name.padEnd(width)}  ${detail}`;
  return mend === undefined ? [row] : [row, `${" ".repeat(width + 8)}${style.dim("mend:")} ${mend}`];
}
