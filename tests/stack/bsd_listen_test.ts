/** `bsd`: what a listener makes of a SYN that has a FIN with it. */
import { assertEquals } from "@std/assert";
import { ack, assertFrame, flags } from "../support/checker.ts";
import { Bench } from "./helpers.ts";

const SYN_FIN = { sourcePort: 1, destinationPort: 80, flags: "SF", seq: 0 };

function listening(bsd: boolean, dropSynFin = false): Bench {
  const made = new Bench();
  Object.assign(made.stack.settings, { bsd, dropSynFin });
  made.learnPeer();
  made.listener(80);
  return made;
}

Deno.test("SYN and FIN: FreeBSD takes the SYN, Linux neither", () => {
  const [answer] = listening(true).segment(SYN_FIN);
  assertFrame(answer, flags("S."), ack(1));
  const linux = listening(false);
  assertEquals(linux.segment(SYN_FIN), []);
  assertEquals(linux.drops, { tcpNotSyn: 1 });
});

Deno.test("SYN and FIN: dropped before anybody sees them, where the settings say so", () => {
  const made = listening(true, true);
  assertEquals(made.segment(SYN_FIN), []);
  assertEquals(made.drops, { tcpSynFin: 1 });
});
