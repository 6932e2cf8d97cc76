import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { parseImpair } from "../../lib/impair.ts";

const CLEAN = {
  loss: 0,
  delayUs: 0,
  jitterUs: 0,
  duplicate: 0,
  reorder: 0,
  corrupt: 0,
  rateBits: 0,
  queuePackets: Infinity,
  queueBytes: Infinity,
};

Deno.test("parseImpair: every item, for both directions", () => {
  const both = {
    loss: 0.05,
    delayUs: 50_000,
    jitterUs: 5_000,
    duplicate: 0.01,
    reorder: 0.02,
    corrupt: 0.001,
    rateBits: 10_000_000,
    queuePackets: 100,
    queueBytes: Infinity,
  };
  const text =
    "loss=5% delay=50ms jitter=5ms duplicate=1% reorder=2% corrupt=0.1% rate=10mbit queue=100 seed=42";
  assertEquals(parseImpair(text), { in: both, out: both, seed: 42 });
});

Deno.test("parseImpair: an item for one direction goes before the general one, wherever it stands", () => {
  assertEquals(parseImpair("out.loss=7% loss=5%, in.delay=1.5ms"), {
    in: { ...CLEAN, loss: 0.05, delayUs: 1500 },
    out: { ...CLEAN, loss: 0.07 },
    seed: 1,
  });
});

Deno.test("parseImpair: units", () => {
  const out = (text: string) => parseImpair(text).out;
  assertEquals(out("delay=250us").delayUs, 250);
  assertEquals(out("delay=2s").delayUs, 2_000_000);
  assertEquals(out("delay=0").delayUs, 0);
  assertEquals(out("rate=9600bit").rateBits, 9600);
  assertEquals(out("rate=1.5kbit").rateBits, 1500);
  assertEquals(out("RATE=1Gbit").rateBits, 1e9);
  assertEquals(out("loss=.5%").loss, 0.005);
  assertEquals(out("rate=1mbit queue=64kb").queueBytes, 65536);
  assertEquals(out("rate=1mbit queue=64kb").queuePackets, Infinity);
  assertEquals(out("rate=1mbit queue=1mb").queueBytes, 1 << 20);
  assertEquals(out("rate=1mbit").queuePackets, 1000);
});

Deno.test("parseImpair: what is wrong is named in one sentence", () => {
  const bad: [spec: string, part: string][] = [
    ["", "loss=5%"],
    ["  ", "loss=5%"],
    ["los=5%", "'los=5%'"],
    ["loss", "'loss': a value is missing"],
    ["loss=", "'loss='"],
    ["loss=5", "'loss=5': it takes a percentage"],
    ["loss=101%", "'loss=101%'"],
    ["loss=-1%", "'loss=-1%'"],
    ["delay=50", "'delay=50': it takes a time"],
    ["delay=2h", "'delay=2h'"],
    ["delay=3601s", "'delay=3601s'"],
    ["jitter=1e3ms", "'jitter=1e3ms'"],
    ["rate=10", "'rate=10': it takes a rate"],
    ["rate=0mbit", "'rate=0mbit'"],
    ["rate=10mbps", "'rate=10mbps'"],
    ["queue=0", "'queue=0'"],
    ["queue=ten", "'queue=ten'"],
    ["seed=-1", "'seed=-1'"],
    ["seed=4294967296", "'seed=4294967296'"],
    ["in.seed=1", "'in.seed=1': seed holds for both"],
    ["up.loss=1%", "'up.loss=1%'"],
    ["loss=1% loss=2%", "'loss=2%': loss is given twice"],
    ["delay=5constructor", "'delay=5constructor'"],
    ["constructor=5%", "'constructor=5%'"],
  ];
  for (const [spec, part] of bad) {
    const error = assertThrows(() => parseImpair(spec), RangeError, part, spec);
    assertStringIncludes(error.message, "Cannot");
    assertEquals(error.message.includes("\n"), false);
  }
});
