/** `addr`, `route`, `neigh` and `link`, with their options and examples. */
import type { Command } from "commander";
import type { NetworkObject } from "../ipc/network_messages.ts";
import type { Io } from "./output.ts";
import { command, examples, type Finish, SOCKET } from "./program_parts.ts";
import { USAGE } from "./network_words.ts";

export function addNetwork(program: Command, io: Io, finish: Finish): void {
  add(program, io, finish, "addr", "address", "show and change the stack's addresses", [
    ["lvl-ip addr"],
    ["lvl-ip addr add 10.0.0.9/24 dev tap0", "one more, announced to the link"],
    ["lvl-ip addr del 10.0.0.9/24 dev tap0", "with the routes that need it"],
  ]);
  add(program, io, finish, "route", "route", "show and change the stack's routes", [
    ["lvl-ip route"],
    ["lvl-ip route get 8.8.8.8", "which way?"],
    ["lvl-ip route add 10.9.0.0/16 via 10.0.0.5 metric 20"],
    ["lvl-ip route replace default via 10.0.0.1"],
    ["lvl-ip route add prohibit 10.66.0.0/16", "refuse, and say so"],
  ]);
  add(program, io, finish, "neigh", "neighbour", "show and change the stack's ARP cache", [
    ["lvl-ip neigh"],
    ["lvl-ip neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev tap0"],
    ["lvl-ip neigh flush dev tap0", "all but permanent ones"],
  ]);
  add(program, io, finish, "link", "link", "show the stack's interfaces", [["lvl-ip link"]]);
}

function add(
  program: Command,
  io: Io,
  finish: Finish,
  name: string,
  object: NetworkObject,
  summary: string,
  shown: [command: string, purpose?: string][],
): void {
  const usage = USAGE[object].map((line) => `  ${line}`).join("\n");
  const isShown = object === "link";
  command(
    program,
    name,
    summary,
    `${summary[0].toUpperCase()}${summary.slice(1)}, in the words of ip(8).` +
      (isShown ? "" : " Changes are for root and for the user who runs the daemon."),
  )
    .argument("[words...]", "as below; without any: show")
    .option("--json", "print JSON with the names of ip -j")
    .option("--socket <path>", SOCKET)
    .addHelpText("after", `\n${io.style.bold("Words:")}\n${usage}\n${examples(io, ...shown)}`)
    .action(async (words: string[], options) => {
      finish(await (await import("./network.ts")).network(object, words, options, io));
    });
}
