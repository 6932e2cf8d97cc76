/** UDP both ways, one datagram a call or many (UDP_SEGMENT, UDP_GRO): what arrives, whatever was sent. */
import type { Bench, Case, Scenario, Settings } from "../bench.ts";
import { type Contestant, type Figures, KERNEL, STACK } from "../contestant.ts";
import { type Direction, DIRECTIONS } from "./bulk.ts";

/** What fits the MTU. */
const SIZE = 1472;
/** The receiver may be the later one to start. */
const STARTING_SECONDS = 2;
/** Those whose own side can be told to send and receive. */
const CANDIDATES = ["veth", "veth-plain", "ours", "ours-plain", "shim"];

async function measure(
  contestant: Contestant,
  direction: Direction,
  atOnce: 0 | 1,
  { warmUp, seconds }: Settings,
): Promise<Figures> {
  const { parts } = contestant;
  const isTo = direction === "to";
  const sending = ["send", isTo ? KERNEL : STACK, SIZE, atOnce, STARTING_SECONDS + warmUp + seconds].map(
    String,
  );
  const receiving = ["receive", isTo ? KERNEL : STACK, atOnce, warmUp, seconds].map(String);
  const [, { bytes, seconds: took, messages }] = await Promise.all(
    isTo
      ? [parts.onStack(sending), contestant.peer(...receiving)]
      : [contestant.peer(...sending), parts.onStack(receiving)],
  );
  return { "Gbit/s": bytes * 8e-9 / took, "messages/s": messages / took };
}

export const datagrams: Scenario = {
  name: "datagrams",
  what: `UDP datagrams of ${SIZE} bytes that arrive, one a call or many`,
  async run(bench: Bench) {
    const cases = DIRECTIONS.flatMap((direction) =>
      ([0, 1] as const).map((atOnce): Case<Contestant> => ({
        name: `${direction}, ${atOnce === 1 ? "many" : "one"} a call`,
        measure: (contestant) => measure(contestant, direction, atOnce, bench.settings),
      }))
    );
    const candidates = bench.candidates.filter(({ name }) => CANDIDATES.includes(name));
    await bench.compare("datagrams", cases, bench.settings.repetitions, candidates);
  },
};
