/** What the fuzz tests share: one seed, printed, so that any run can be repeated. */
import fc from "fast-check";

/** LVLIP_FUZZ_SEED, else one of chance. */
export const FUZZ_SEED = readSeed();

function readSeed(): number {
  const text = Deno.env.get("LVLIP_FUZZ_SEED");
  if (text === undefined) return Math.floor(Math.random() * 0x7fff_ffff);
  const seed = Number(text);
  if (!Number.isInteger(seed)) {
    throw new RangeError(`LVLIP_FUZZ_SEED must be an integer: current value is ${text}`);
  }
  return seed;
}

/** LVLIP_FUZZ_FACTOR multiplies the number of runs: 1 by default. */
const FACTOR = Number(Deno.env.get("LVLIP_FUZZ_FACTOR") ?? 1);

/** Runs a property `runs` times the factor with the seed, and says the seed when it fails. Answers how often it ran. */
export function check<T>(property: fc.IProperty<T>, runs: number): number {
  const numRuns = Math.max(1, Math.round(runs * FACTOR));
  fc.assert(property, {
    seed: FUZZ_SEED | 0,
    numRuns,
    verbose: fc.VerbosityLevel.None,
    // Shrinking runs the transfers again and again: long enough to help, short enough to end.
    interruptAfterTimeLimit: 60_000,
    markInterruptAsFailure: false,
    reporter(details) {
      if (!details.failed) return;
      throw new Error(`LVLIP_FUZZ_SEED=${FUZZ_SEED} repeats this:\n${fc.defaultReportMessage(details)}`, {
        cause: details.errorInstance,
      });
    },
  });
  return numRuns;
}

/** An impairment as `--impair` takes it. */
export function impairArbitrary(maxLoss = 30): fc.Arbitrary<string> {
  const percent = (key: string, max: number) =>
    fc.option(fc.integer({ min: 0, max: max * 10 }).map((tenths) => `${key}=${tenths / 10}%`), {
      nil: "",
      freq: 2,
    });
  const direction = (prefix: string) =>
    fc.tuple(
      percent(`${prefix}loss`, maxLoss),
      percent(`${prefix}duplicate`, 50),
      percent(`${prefix}reorder`, 40),
      percent(`${prefix}corrupt`, 3),
      fc.option(fc.integer({ min: 0, max: 200 }).map((ms) => `${prefix}delay=${ms}ms`), { nil: "" }),
      fc.option(fc.integer({ min: 0, max: 100 }).map((ms) => `${prefix}jitter=${ms}ms`), { nil: "" }),
      fc.option(
        fc.tuple(fc.constantFrom("256kbit", "1mbit", "10mbit", "100mbit"), fc.integer({ min: 5, max: 200 }))
          .map(([rate, queue]) => `${prefix}rate=${rate} ${prefix}queue=${queue}`),
        { nil: "" },
      ),
    ).map((items) => items.filter((item) => item !== "").join(" "));
  return fc.tuple(direction("in."), direction("out."), fc.nat(0xffff_ffff))
    .map(([incoming, outgoing, seed]) => `${incoming} ${outgoing} seed=${seed}`.trim());
}
