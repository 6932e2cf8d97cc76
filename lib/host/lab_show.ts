/** What the lab shows: ping, a name, connect, and a transfer each way. */
import { runLines } from "./child.ts";
import type { Lab } from "./lab.ts";
import type { LabReport } from "./lab_report.ts";
import { ECHO_PORT } from "./lab_peer.ts";
import { type Direction, transfer } from "./lab_transfer.ts";
import { DNS_ADDRESS, SERVER_ADDRESS, SERVER_NAME } from "./lab_world.ts";
import { formatBytes, formatRate } from "./style.ts";

/** One showing in one lab. */
export interface Showing {
  lab: Lab;
  report: LabReport;
  /** Bytes of each transfer. */
  size: number;
  /** Whether many packets get lost on their way. */
  lossy: boolean;
  /** The isp is a stack of ours. */
  router: boolean;
  signal: AbortSignal;
}

/** Shows all of it. A step that fails does not keep the next from being tried, except where it could only wait. */
export async function show(showing: Showing): Promise<void> {
  const { lab, signal } = showing;
  await showPing(showing);
  if (!signal.aborted) await showResolve(showing);
  const connected = !signal.aborted && await showConnect(showing);
  for (const direction of ["up", "down"] as const) {
    if (connected && !signal.aborted) await showTransfer(showing, direction);
  }
  if (!signal.aborted) {
    showing.report.part("The end");
    if (showing.router) await lab.step("isp-report", () => lab.routerReport());
    await lab.step("daemon-end", () => lab.stopDaemon());
  }
}

async function showPing({ lab, report, lossy, signal }: Showing): Promise<boolean> {
  // So many that at least one is answered where one in four packets gets lost, ARP's too.
  const count = lossy ? 10 : 3;
  const words = ["lvl-ip", "ping", "-c", `${count}`, ...(lossy ? ["-i", "0.5"] : []), DNS_ADDRESS];
  report.command(words);
  return await lab.step("ping", async () => {
    const { code, stdout } = await runLines(
      words,
      lab.environment,
      (line) => report.output("ping", line),
      signal,
    );
    if (code === 1) throw new Error(lab.daemonFailure() ?? `${DNS_ADDRESS} did not answer`);
    if (code !== 0) throw new Error(lab.daemonFailure() ?? `exit status ${code}`);
    // Each once: a line that duplicates packets brings some answers twice.
    const answered = stdout.map((line) => /\bicmp_seq=([0-9]+) .*\btime=/.exec(line)?.[1]).filter(Boolean);
    const answers = new Set(answered).size;
    return `${DNS_ADDRESS} answered ${answers} of ${count}`;
  });
}

async function showResolve({ lab, report, lossy, signal }: Showing): Promise<boolean> {
  const words = ["lvl-ip", "resolve", "-v", SERVER_NAME];
  report.command(words);
  const ask = () => runLines(words, lab.environment, (line) => report.output("resolve", line), signal);
  return await lab.step("resolve", async () => {
    let done = await ask();
    // The resolver asks twice, of which one answer must get through: as a person would, ask again on a bad line.
    for (let more = lossy ? 4 : 0; done.code === 1 && more > 0 && !signal.aborted; more--) done = await ask();
    if (done.code !== 0) throw new Error(lab.daemonFailure() ?? `${SERVER_NAME} was not found`);
    const [name, , , address, server] = done.stdout.at(-1)!.split(/\s+/);
    if (address !== SERVER_ADDRESS) throw new Error(`${name} is not ${address}`);
    return `${name} is ${address}, says ${server}`;
  });
}

async function showConnect({ lab, report, signal }: Showing): Promise<boolean> {
  const words = ["lvl-ip", "connect", `${SERVER_ADDRESS}:${ECHO_PORT}`, "--send", "hello"];
  report.command(words);
  return await lab.step("connect", async () => {
    const { code, stdout } = await runLines(
      words,
      lab.environment,
      (line) => report.output("connect", line),
      signal,
    );
    if (code !== 0) throw new Error(lab.daemonFailure() ?? `exit status ${code}`);
    if (stdout.join("\n") !== "hello") throw new Error("hello did not come back");
    return `${SERVER_ADDRESS}:${ECHO_PORT} echoed hello`;
  });
}

async function showTransfer({ lab, report, size, signal }: Showing, direction: Direction): Promise<boolean> {
  const amount = formatBytes(size);
  const way = direction === "up" ? `to ${SERVER_ADDRESS}` : `from ${SERVER_ADDRESS}`;
  report.part(`${amount} ${way} through the stack`);
  let drawnAt = 0;
  const onProgress = (bytes: number, milliseconds: number) => {
    if (milliseconds - drawnAt < 50) return;
    drawnAt = milliseconds;
    report.progress(bytes, size, milliseconds);
  };
  return await lab.step(`transfer-${direction}`, async () => {
    const { milliseconds, ours, theirs } = await transfer(direction, size, onProgress, signal)
      .catch((error) => {
        throw new Error(lab.daemonFailure() ?? error.message);
      });
    if (ours !== theirs) throw new Error(`SHA-256 differs: here ${ours}, there ${theirs}`);
    return `${formatRate(size, milliseconds)}, SHA-256 ${ours.slice(0, 12)}... the same at both ends`;
  });
}
