/**
 * A sample of the goodput table, recomputed: virtual time makes it exact, so any change of what TCP sends and when shows
 * here. If the change is meant: `deno task goodput --write`, and look at the difference. `deno task goodput --check`
 * compares the whole table.
 */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { readTable } from "../../scripts/goodput.ts";
import {
  type Cell,
  cellName,
  expectedShare,
  fairnessCells,
  measure,
  singleFlowCells,
} from "../support/goodput.ts";

const checkedIn = readTable();

/** Cells that take a fraction of a second each. */
const SAMPLE: Cell[] = [
  { loss: 0, rttMs: 1, rateMbit: 100, flows: 1 },
  { loss: 0, rttMs: 20, rateMbit: 10, flows: 1 },
  { loss: 0, rttMs: 20, rateMbit: 100, flows: 1 },
  { loss: 0, rttMs: 100, rateMbit: 100, flows: 1 },
  { loss: 0, rttMs: 300, rateMbit: 10, flows: 1 },
  { loss: 0.1, rttMs: 100, rateMbit: 10, flows: 1 },
  { loss: 1, rttMs: 1, rateMbit: 1000, flows: 1 },
  { loss: 1, rttMs: 20, rateMbit: 100, flows: 1 },
  { loss: 1, rttMs: 300, rateMbit: 100, flows: 1 },
  { loss: 3, rttMs: 20, rateMbit: 10, flows: 1 },
  { loss: 3, rttMs: 100, rateMbit: 100, flows: 1 },
  { loss: 10, rttMs: 1, rateMbit: 10, flows: 1 },
  { loss: 10, rttMs: 20, rateMbit: 1000, flows: 1 },
  { loss: 10, rttMs: 300, rateMbit: 10, flows: 1 },
  { loss: 0, rttMs: 20, rateMbit: 100, flows: 2 },
];

for (const cell of SAMPLE) {
  Deno.test(`goodput: ${cellName(cell)}`, () => {
    const message = "TCP sends otherwise than before: if that is meant, run `deno task goodput --write`";
    assertEquals(measure(cell), checkedIn[cellName(cell)], message);
  });
}

Deno.test("goodput: the table is whole", () => {
  assertEquals(Object.keys(checkedIn), [...singleFlowCells(), ...fairnessCells()].map(cellName));
});

Deno.test("goodput: without random loss a flow gets nine tenths of the bottleneck", () => {
  for (const cell of singleFlowCells().filter(({ loss }) => loss === 0)) {
    // Of a minute at 300 ms and 1 Gbit/s slow start takes its part.
    assertGreater(checkedIn[cellName(cell)].share, cell.rttMs * cell.rateMbit > 200_000 ? 0.88 : 0.9);
  }
});

Deno.test("goodput: with loss a flow gets what the response functions promise, timeouts aside", () => {
  for (const cell of singleFlowCells().filter(({ loss }) => loss > 0)) {
    const { share, retransmitted } = checkedIn[cellName(cell)];
    // In a LAN the least timeout, 200 ms, is two hundred round trips; from one loss in ten on many losses need it.
    const floor = cell.loss < 10 ? (cell.rttMs > 1 ? 0.88 : 0.7) : cell.rttMs > 1 ? 0.7 : 0.25;
    assertGreater(share / expectedShare(cell), floor, cellName(cell));
    assert(retransmitted < cell.loss / 100 * 1.3 + 0.02, `${cellName(cell)}: ${retransmitted} sent again`);
  }
});

Deno.test("goodput: flows share fairly", () => {
  for (const cell of fairnessCells()) {
    const { fairness, retransmitted } = checkedIn[cellName(cell)];
    assertGreater(fairness, 0.9, cellName(cell));
    // ACKs that jitter come in bunches; nothing is sent again in vain for that.
    if (cell.loss > 0) assert(retransmitted < cell.loss / 100 * 1.1, `${cellName(cell)}: ${retransmitted}`);
  }
});
