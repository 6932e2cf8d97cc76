import { assert, assertEquals } from "@std/assert";
import { decodeRecord, encodeRecord, OP, ProtocolRecord, RECORD_SIZE } from "../../lib/ipc/protocol.ts";

Deno.test("a record has the bytes that the table in protocol.ts shows", () => {
  const record = new ProtocolRecord().reset(OP.connect);
  record.flags = 0x01020304;
  record.errno = -2;
  record.id = 0x1122334455667788n;
  [record.arg0, record.arg1, record.arg2, record.arg3, record.arg4] = [1, 2, 3, 4, -5];
  record.length = 0xfffffffe;
  record.local.set(0x0a000004, 0x1234);
  record.remote.set(0xc0a86301 | 0, 2048);
  const bytes = new Uint8Array(RECORD_SIZE + 2);
  encodeRecord(record, new DataView(bytes.buffer), 1);
  const hex = [...bytes.subarray(1, -1)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  assertEquals(
    hex,
    "4c4c4950" + "0100" + "0100" + "04030201" + "feffffff" + "8877665544332211" +
      "01000000" + "02000000" + "03000000" + "04000000" + "fbffffff" + "feffffff" +
      "0200" + "3412" + "0a000004" + "00".repeat(12) +
      "0200" + "0008" + "c0a86301" + "00".repeat(12),
  );
});

Deno.test("what is encoded is decoded", () => {
  const record = new ProtocolRecord().reset(OP.echo);
  record.flags = 0xffffffff;
  record.errno = 113;
  record.id = 0xffff_ffff_ffff_ffffn;
  [record.arg0, record.arg1, record.arg2, record.arg3, record.arg4] = [-1, 65535, 1 << 30, 64, 0x30001];
  record.local.set(-1, 65535);
  const view = new DataView(new ArrayBuffer(RECORD_SIZE));
  encodeRecord(record, view, 0);
  const decoded = new ProtocolRecord();
  assert(decodeRecord(view, 0, decoded));
  assertEquals(decoded, record);
});

Deno.test("another magic, version or family is refused", () => {
  const record = new ProtocolRecord().reset(OP.status);
  for (const offset of [0, 4, 48, 68]) {
    const view = new DataView(new ArrayBuffer(RECORD_SIZE));
    encodeRecord(record, view, 0);
    view.setUint8(offset, view.getUint8(offset) ^ 0x44);
    assertEquals(decodeRecord(view, 0, new ProtocolRecord()), false, `byte ${offset}`);
  }
});
