/** The wire layer beside tshark: every field that both know is equal, in every frame that is sound. */
import { assert, assertEquals } from "@std/assert";
import { Random } from "../../lib/impair/random.ts";
import { PcapngWriter } from "../../lib/trace/pcapng.ts";
import { type Aim, randomFrame } from "../support/frame_grammar.ts";
import { FUZZ_SEED } from "../support/fuzz.ts";
import { hasPrograms } from "../support/shim.ts";
import { compareFields, tsharkFields, wireFields } from "../support/tshark.ts";
import { bytesOf, GOLDEN } from "./golden.ts";

const AIM: Aim = {
  address: "10.0.0.5",
  peer: "10.0.0.4",
  tcpPorts: [7, 9999],
  udpPorts: [7, 9999],
  echoIds: [7],
  connections: [
    {
      remoteAddress: 0x0a000004,
      remotePort: 9998,
      localPort: 9999,
      rcvNxt: 5,
      sndUna: -3,
      sndNxt: 70_000,
      timestamps: [1, 2],
    },
    {
      remoteAddress: 0x0a000004,
      remotePort: 9997,
      localPort: 9999,
      rcvNxt: -9,
      sndUna: 1,
      sndNxt: 2,
      timestamps: null,
    },
  ],
};

/** Frames that lib/wire has no business with, or refuses on purpose, while tshark shows them. */
function isSound(bytes: Uint8Array): boolean {
  try {
    wireFields(bytes);
    return true;
  } catch {
    return false;
  }
}

Deno.test({
  name: "frames of every kind are decoded as tshark does",
  ignore: !hasPrograms("tshark"),
  async fn() {
    console.log(`LVLIP_FUZZ_SEED=${FUZZ_SEED}`);
    const random = new Random(FUZZ_SEED);
    const made = Array.from({ length: 3000 }, () => randomFrame(random, AIM));
    const sound = made.filter(isSound);
    assert(sound.length > 2700, `${made.length - sound.length} of ${made.length} frames were refused`);
    const frames = [...Object.values(GOLDEN).map((hex) => bytesOf(hex)), ...sound];
    const path = await Deno.makeTempFile({ suffix: ".pcapng" });
    try {
      using file = await Deno.open(path, { write: true });
      const writer = new PcapngWriter((bytes) => file.writeSync(bytes));
      const tap = writer.addInterface({ name: "tap0" });
      frames.forEach((bytes, at) => writer.packet(tap, at, [{ bytes, offset: 0, length: bytes.length }]));
      writer.flush();
      const theirs = await tsharkFields(path);
      assertEquals(theirs.length, frames.length);
      const names = new Set<string>();
      frames.forEach((bytes, at) => {
        const ours = wireFields(bytes);
        compareFields(ours, theirs[at], `LVLIP_FUZZ_SEED=${FUZZ_SEED}, frame ${at + 1}`);
        for (const name of Object.keys(ours)) names.add(name);
      });
      // A comparison of nothing would always succeed.
      assert(names.size >= 55, `only ${names.size} fields were compared: ${[...names].sort()}`);
    } finally {
      await Deno.remove(path);
    }
  },
});
