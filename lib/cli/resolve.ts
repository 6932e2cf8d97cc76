/** `lvl-ip resolve`: names to addresses and back, as the stack's resolver sees them. */
import * as client from "../ipc/client.ts";
import type { LookUp, LookUpOptions } from "../ipc/client.ts";
import { CommandError, EXIT } from "./errors.ts";
import { type Column, formatTable, type Io } from "./output.ts";

export interface ResolveCommandOptions {
  type?: "A" | "AAAA" | "PTR";
  /** What is given are addresses. */
  reverse?: boolean;
  verbose?: boolean;
  json?: boolean;
  flush?: boolean;
  socket?: string;
}

export type AskName = (name: string, options: LookUpOptions) => Promise<LookUp>;

/** One name and what came of it. */
type Result = { name: string; found: LookUp } | { name: string; error: Error & { code: string } };

const COLUMNS: Column[] = [
  { title: "Name" },
  { title: "TTL s", right: true },
  { title: "Type" },
  { title: "Value" },
  { title: "From" },
];

/** Runs the command. Status 0: all names were found, 1: not all. */
export async function resolve(
  names: readonly string[],
  options: ResolveCommandOptions,
  io: Io,
  ask: AskName = client.lookUp,
): Promise<number> {
  const { flush, socket: socketPath } = options;
  if (names.length === 0 && !flush) {
    throw new CommandError("There is no name to resolve", "try: lvl-ip resolve NAME", EXIT.usage);
  }
  // Before all questions and not with each: they run side by side.
  if (flush) await ask("localhost", { flush, socketPath });
  const type = options.reverse ? "PTR" : options.type ?? "A";
  const results = await Promise.all(names.map((name) => askOne(name, { type, socketPath }, ask)));
  if (options.json) {
    if (names.length > 0) io.print(`${JSON.stringify(results.map((each) => asJson(each, type)), null, 2)}\n`);
  } else {io.print(
      options.verbose ? formatAll(results, type, io) : results.map((each) => lines(each, type)).join(""),
    );}
  let status: number = EXIT.success;
  for (const result of results) {
    if ("found" in result) continue;
    status = EXIT.failure;
    if (!options.json) io.complain(`lvl-ip: ${result.error.message}\n`);
  }
  return status;
}

async function askOne(name: string, options: LookUpOptions, ask: AskName): Promise<Result> {
  try {
    return { name, found: await ask(name, options) };
  } catch (error) {
    if (error instanceof client.NameError) return { name, error };
    throw error;
  }
}

function asJson(result: Result, type: string): Record<string, unknown> {
  const { name } = result;
  if ("found" in result) return { name, type, ...result.found };
  return { name, type, error: result.error.message, code: result.error.code };
}

/** As `getent ahosts`: each address with the canonical name, or each name with the address. */
function lines(result: Result, type: string): string {
  if (!("found" in result)) return "";
  const { addresses, names } = result.found;
  if (type === "PTR") return names.map((name) => `${result.name}  ${name}\n`).join("");
  const width = Math.max(...addresses.map(({ length }) => length));
  return addresses.map((address) => `${address.padEnd(width)}  ${names.at(-1)}\n`).join("");
}

/** Every record on the way, as a zone file has them. */
function formatAll(results: readonly Result[], type: string, { style }: Io): string {
  const rows: string[][] = [];
  for (const result of results) {
    if (!("found" in result)) continue;
    const { addresses, names, ttl, server, cached } = result.found;
    const isHost = server === "host";
    const from = isHost ? "this host" : cached ? `${server} (kept)` : server;
    const row = (name: string, kind: string, value: string) =>
      rows.push([name, isHost ? "-" : `${ttl}`, kind, value, from]);
    if (type === "PTR") { for (const name of names) row(result.name, "PTR", name); }
    else {
      names.slice(1).forEach((name, i) => row(names[i], "CNAME", name));
      for (const address of addresses) row(names.at(-1)!, "A", address);
    }
  }
  return rows.length === 0 ? "" : formatTable(COLUMNS, rows, style);
}
