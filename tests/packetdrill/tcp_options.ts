import type { TcpOption } from "./ast.ts";
import type { Cursor } from "./cursor.ts";

/** Kinds of TCP options (RFC 9293 3.2, 7323, 2018, 7413, 2385, RFC 6994 for 254, 9768 for 172 and 174). */
export const OPTION_EOL = 0;
export const OPTION_NOP = 1;
export const OPTION_MSS = 2;
export const OPTION_WSCALE = 3;
export const OPTION_SACK_PERMITTED = 4;
export const OPTION_SACK = 5;
export const OPTION_TIMESTAMP = 8;
export const OPTION_MD5 = 19;
export const OPTION_FAST_OPEN = 34;
export const OPTION_ACCECN_0 = 172;
export const OPTION_ACCECN_1 = 174;
export const OPTION_EXPERIMENTAL = 254;

const FAST_OPEN_MAGIC = [0xf9, 0x89];

/** `<mss 1460,sackOK,...>`, `<...>` (null) or nothing (an empty list). */
export function parseTcpOptions(cursor: Cursor): TcpOption[] | null {
  if (!cursor.isPunctuation("<")) return [];
  cursor.next();
  if (cursor.accept("ellipsis")) {
    cursor.punctuation(">");
    return null;
  }
  const options = [parseOption(cursor)];
  while (cursor.accept("punctuation", ",")) options.push(parseOption(cursor));
  cursor.punctuation(">");
  const length = options.reduce((sum, option) => sum + optionLength(option), 0);
  if (length % 4 !== 0) cursor.fail(`TCP options are ${length} bytes, not a multiple of 4`);
  if (length > 40) cursor.fail(`TCP options are ${length} bytes, more than 40`);
  return options;
}

/** Bytes on the wire. */
export function optionLength(option: TcpOption): number {
  switch (option.kind) {
    case OPTION_EOL:
    case OPTION_NOP:
      return 1;
    case OPTION_MSS:
      return 4;
    case OPTION_WSCALE:
      return 3;
    case OPTION_SACK:
      return 2 + 4 * (option.blocks?.length ?? 0);
    case OPTION_TIMESTAMP:
      return 10;
    default:
      return 2 + option.data.length;
  }
}

function parseOption(cursor: Cursor): TcpOption {
  const name = cursor.expect("word").text;
  const plain = (kind: number): TcpOption => ({ kind, name, data: [] });
  switch (name) {
    case "nop":
      return plain(OPTION_NOP);
    case "eol":
      return plain(OPTION_EOL);
    case "sackOK":
      return plain(OPTION_SACK_PERMITTED);
    case "mss":
      return { ...plain(OPTION_MSS), mss: cursor.integer("mss", 0, 0xffff) };
    case "wscale":
      return { ...plain(OPTION_WSCALE), scale: cursor.integer("window scale", 0, 255) };
    case "sack":
      return { ...plain(OPTION_SACK), blocks: parseBlocks(cursor) };
    case "TS":
      return { ...plain(OPTION_TIMESTAMP), ...parseTimestamp(cursor) };
    case "FO":
      return { ...plain(OPTION_FAST_OPEN), data: parseHex(cursor) };
    case "FOEXP":
      return { ...plain(OPTION_EXPERIMENTAL), data: [...FAST_OPEN_MAGIC, ...parseHex(cursor)] };
    case "ECN":
      return parseCounters(cursor);
    case "md5":
      return { ...plain(OPTION_MD5), data: parseHex(cursor) };
    default:
      return cursor.fail(`unknown TCP option '${name}'`);
  }
}

function parseBlocks(cursor: Cursor): number[] {
  const blocks: number[] = [];
  while (cursor.is("integer")) {
    blocks.push(cursor.integer("SACK left edge"));
    cursor.punctuation(":");
    blocks.push(cursor.integer("SACK right edge"));
  }
  if (blocks.length === 0) cursor.fail("expected a SACK block");
  return blocks;
}

/** The counters of the AccECN option in the order of its two kinds. */
const COUNTERS: Record<number, string[]> = {
  [OPTION_ACCECN_0]: ["e0b", "ceb", "e1b"],
  [OPTION_ACCECN_1]: ["e1b", "ceb", "e0b"],
};

/** `ECN e1b 1 ceb 0 e0b 1`, or only the first of these; what comes first tells the option's kind. */
function parseCounters(cursor: Cursor): TcpOption {
  const kind = cursor.is("word", "e0b") ? OPTION_ACCECN_0 : OPTION_ACCECN_1;
  const data: number[] = [];
  for (const name of COUNTERS[kind]) {
    if (!cursor.accept("word", name)) break;
    const count = cursor.integer(name, 0, 0xffffff);
    data.push(count >> 16, (count >> 8) & 0xff, count & 0xff);
  }
  return { kind, name: "ECN", data };
}

function formatCounters({ kind, data }: TcpOption): string {
  const counts = COUNTERS[kind].slice(0, Math.floor(data.length / 3)).map((name, i) =>
    ` ${name} ${(data[3 * i] << 16) | (data[3 * i + 1] << 8) | data[3 * i + 2]}`
  );
  return `ECN${counts.join("")}`;
}

function parseTimestamp(cursor: Cursor): { value: number; echo: number } {
  cursor.expect("word", "val");
  const value = cursor.integer("TS val");
  cursor.expect("word", "ecr");
  return { value, echo: cursor.integer("TS ecr") };
}

/** A run of hex digits, or nothing: a Fast Open cookie or an MD5 digest. */
function parseHex(cursor: Cursor): number[] {
  if (!cursor.is("word") && !cursor.is("integer")) return [];
  const { text } = cursor.next();
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) cursor.fail(`'${text}' is not a string of hex bytes`);
  return (text.match(/../g) ?? []).map((digits) => parseInt(digits, 16));
}

/** The option as a script spells it. */
export function formatOption(option: TcpOption): string {
  const hex = (bytes: number[]) => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  switch (option.kind) {
    case OPTION_EOL:
      return "eol";
    case OPTION_NOP:
      return "nop";
    case OPTION_MSS:
      return `mss ${option.mss}`;
    case OPTION_WSCALE:
      return `wscale ${option.scale}`;
    case OPTION_SACK_PERMITTED:
      return "sackOK";
    case OPTION_SACK: {
      const edges = option.blocks ?? [];
      const pairs: string[] = [];
      for (let i = 0; i + 1 < edges.length; i += 2) pairs.push(`${edges[i]}:${edges[i + 1]}`);
      return `sack ${pairs.join(" ")}`;
    }
    case OPTION_TIMESTAMP:
      return `TS val ${option.value} ecr ${option.echo}`;
    case OPTION_FAST_OPEN:
      return `FO ${hex(option.data)}`.trimEnd();
    case OPTION_ACCECN_0:
    case OPTION_ACCECN_1:
      return formatCounters(option);
    case OPTION_MD5:
      return `md5 ${hex(option.data)}`.trimEnd();
    default:
      return `option ${option.kind} ${hex(option.data)}`.trimEnd();
  }
}
