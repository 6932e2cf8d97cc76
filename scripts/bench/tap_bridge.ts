/**
 * Joins two TAPs by the daemon's own impairment: `tap_bridge.ts LEFT RIGHT SPEC`. What comes from LEFT is impaired as
 * `in`, what goes to it as `out`, just as for a stack behind LEFT. Runs until it is killed; the TAPs go with it.
 */
import { monotonicUs } from "../../ffi/clock.ts";
import { Epoll, EPOLLIN, setTimerSlack } from "../../ffi/epoll.ts";
import { openTap } from "../../ffi/tap.ts";
import { Frame } from "../../lib/buffer/frame.ts";
import { ImpairedDevice, parseImpair } from "../../lib/impair.ts";

/** Frames in one direction before the other has its turn. */
const BUDGET = 64;

const [leftName, rightName, spec] = Deno.args;
setTimerSlack(1000);
const tap = openTap({ name: leftName, mtu: 1500 });
const left = new ImpairedDevice(tap, parseImpair(spec));
const right = openTap({ name: rightName, mtu: 1500 });
const poller = new Epoll();
poller.add(left.fd, EPOLLIN);
poller.add(right.fd, EPOLLIN);
const frame = new Frame();
console.log("ready");
for (;;) {
  let more = false;
  const now = monotonicUs();
  if (left.deadline <= now) left.advance(now);
  let budget = BUDGET;
  while (budget > 0 && left.receive(frame, now)) {
    right.send(frame);
    budget--;
  }
  more ||= budget === 0;
  for (budget = BUDGET; budget > 0 && right.receive(frame); budget--) left.send(frame, now);
  more ||= budget === 0;
  poller.wait(more ? 0 : Math.max(0, left.deadline - monotonicUs()));
}
