import { assertEquals } from "@std/assert";
import * as datagram from "../../lib/ipc/datagram_header.ts";
import {
  encodeRecord,
  FAMILY_IPV4,
  FLAG_QUIET,
  ID_MASK,
  INTERFACE_SIZE,
  MAGIC,
  MAX_ADDRESSES,
  MAX_NAME,
  OP,
  ProtocolRecord,
  RECORD_SIZE,
  VERSION,
} from "../../lib/ipc/protocol.ts";
import { makeTag, TAG_STATE } from "../../lib/ipc/tag.ts";
import { RecordType } from "../../lib/resolver/types.ts";
import { Datagram, DATAGRAM_DATA, DATAGRAM_ERROR } from "../../lib/stack/socket_types.ts";
import { hasPrograms } from "../support/shim.ts";

/** What the C header says, by name. Values beyond 2^53 come as text. */
async function headerFacts(): Promise<Map<string, bigint>> {
  const folder = await Deno.makeTempDir({ prefix: "lvl-ip-test-" });
  try {
    const source = decodeURIComponent(new URL("preload_protocol.c", import.meta.url).pathname);
    const program = `${folder}/facts`;
    const built = await new Deno.Command("cc", {
      args: ["-std=c11", "-Wall", "-Wextra", "-Werror", "-o", program, source],
    }).output();
    assertEquals(new TextDecoder().decode(built.stderr), "");
    const { stdout } = await new Deno.Command(program).output();
    const pairs = new TextDecoder().decode(stdout).matchAll(/"([^"]+)":(\d+)/g);
    return new Map([...pairs].map(([, name, value]) => [name, BigInt(value)]));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Where `mark` stands in the record once `change` was made to an empty one. */
function offsetOf(change: (record: ProtocolRecord) => void): number {
  const [before, after] = [new Uint8Array(RECORD_SIZE), new Uint8Array(RECORD_SIZE)];
  const record = new ProtocolRecord();
  encodeRecord(record, new DataView(before.buffer), 0);
  change(record);
  encodeRecord(record, new DataView(after.buffer), 0);
  return after.findIndex((byte, at) => byte !== before[at]);
}

/** The same for the header of a datagram. */
function datagramOffset(change: (message: Datagram) => void, kind: 0 | 1 = DATAGRAM_ERROR): number {
  const [before, after] = [1, 2].map(() => new Uint8Array(datagram.DATAGRAM_HEADER));
  const message = new Datagram(0);
  message.kind = kind;
  message.tos = 0;
  datagram.encodeDatagram(new DataView(before.buffer), 0n, 0, message, 0);
  change(message);
  datagram.encodeDatagram(new DataView(after.buffer), 0n, 0, message, 0);
  return after.findIndex((byte, at) => byte !== before[at]);
}

Deno.test({
  name: "the preloaded library's header says what protocol.ts says",
  ignore: !hasPrograms("cc"),
  async fn() {
    const facts = await headerFacts();
    const expected: Record<string, number | bigint> = {
      LVLIP_MAGIC: MAGIC,
      LVLIP_VERSION: VERSION,
      LVLIP_OP_CONNECT: OP.connect,
      LVLIP_OP_LISTEN: OP.listen,
      LVLIP_OP_ACCEPT: OP.accept,
      LVLIP_OP_RESOLVE: OP.resolve,
      LVLIP_OP_OUTCOME: OP.outcome,
      LVLIP_OP_SET_OPTION: OP.setOption,
      LVLIP_OP_GET_OPTION: OP.getOption,
      LVLIP_OP_SOCKET: OP.socket,
      LVLIP_OP_BIND: OP.bind,
      LVLIP_OP_NAMES: OP.names,
      LVLIP_OP_ASSOCIATE: OP.associate,
      LVLIP_OP_SERVES: OP.serves,
      LVLIP_OP_SETTINGS: OP.settings,
      LVLIP_OP_INTERFACES: OP.interfaces,
      LVLIP_FLAG_QUIET: FLAG_QUIET,
      LVLIP_FAMILY_IPV4: FAMILY_IPV4,
      LVLIP_MAX_NAME: MAX_NAME,
      LVLIP_MAX_ADDRESSES: MAX_ADDRESSES,
      LVLIP_RESOLVE_A: RecordType.A,
      LVLIP_RESOLVE_PTR: RecordType.PTR,
      LVLIP_RESOLVE_AAAA: RecordType.AAAA,
      LVLIP_DATAGRAM_MAGIC: datagram.DATAGRAM_MAGIC,
      LVLIP_DATAGRAM_ERROR: datagram.DATAGRAM_FAILED,
      LVLIP_DATAGRAM_TTL: datagram.DATAGRAM_TTL,
      LVLIP_DATAGRAM_PKTINFO: datagram.DATAGRAM_PKTINFO,
      LVLIP_DATAGRAM_TIMESTAMP: datagram.DATAGRAM_TIMESTAMP,
      LVLIP_DATAGRAM_QUEUED: datagram.DATAGRAM_QUEUED,
      LVLIP_DATAGRAM_TOS: datagram.DATAGRAM_TOS,
      LVLIP_DATAGRAM_OPTIONS: datagram.DATAGRAM_OPTIONS,
      LVLIP_DATAGRAM_ECHOED_OPTIONS: datagram.DATAGRAM_ECHOED_OPTIONS,
      LVLIP_DATAGRAM_SEGMENTS: datagram.DATAGRAM_SEGMENTS,
      LVLIP_TAG_ID_MASK: ID_MASK,
      TAG_STREAM: makeTag(TAG_STATE.stream, 5n),
      TAG_DATAGRAM: makeTag(TAG_STATE.datagram, 5n),
      TAG_ICMP: makeTag(TAG_STATE.icmp, 5n),
      TAG_RAW: makeTag(TAG_STATE.raw, 5n),
      lvlip_record: RECORD_SIZE,
      "lvlip_record.magic": 0,
      "lvlip_record.version": 4,
      "lvlip_record.op": offsetOf((record) => record.op = 1),
      "lvlip_record.flags": offsetOf((record) => record.flags = 1),
      "lvlip_record.error": offsetOf((record) => record.errno = 1),
      "lvlip_record.id": offsetOf((record) => record.id = 1n),
      "lvlip_record.arg": offsetOf((record) => record.arg0 = 1),
      "lvlip_record.length": offsetOf((record) => record.length = 1),
      "lvlip_record.local": offsetOf((record) => record.local.family = 2),
      "lvlip_record.remote": offsetOf((record) => record.remote.family = 2),
      "lvlip_endpoint.port": offsetOf((record) => record.local.port = 1) - 48,
      "lvlip_endpoint.address": offsetOf((record) => record.local.address = 1 << 24) - 48,
      lvlip_interface: INTERFACE_SIZE,
      lvlip_datagram: datagram.DATAGRAM_HEADER,
      "lvlip_datagram.flags": 4,
      "lvlip_datagram.port": datagramOffset((message) => message.port = 1),
      "lvlip_datagram.id": 8,
      "lvlip_datagram.address": datagramOffset((message) => message.address = 1 << 24),
      "lvlip_datagram.local_address": datagramOffset((message) => message.localAddress = 1 << 24),
      "lvlip_datagram.error": datagramOffset((message) => message.errno = 1),
      "lvlip_datagram.ttl": datagramOffset((message) => message.ttl = 1),
      "lvlip_datagram.icmp_type": datagramOffset((message) => message.icmpType = 1),
      "lvlip_datagram.icmp_code": datagramOffset((message) => message.icmpCode = 1),
      "lvlip_datagram.tos": datagramOffset((message) => message.tos = 1),
      "lvlip_datagram.reporter": datagramOffset((message) => message.sourceAddress = 1 << 24),
      "lvlip_datagram.mtu": datagramOffset((message) => message.mtu = 1),
      "lvlip_datagram.size": datagramOffset((message) => message.groSize = 1, DATAGRAM_DATA),
      "lvlip_datagram.timestamp_us": 40,
    };
    for (const [name, value] of Object.entries(expected)) assertEquals(facts.get(name), BigInt(value), name);
    assertEquals(facts.size, Object.keys(expected).length);
  },
});
