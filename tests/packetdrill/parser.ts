import type { Action, EventTime, Script, ScriptEvent, ScriptOption } from "./ast.ts";
import { Cursor } from "./cursor.ts";
import { ScriptError, tokenize } from "./lexer.ts";
import { parsePacket, startsPacket } from "./parse_packet.ts";
import { parseSyscall } from "./parse_syscall.ts";

/** Reads a script. Throws ScriptError, with the line, for what is not in the language. */
export function parseScript(source: string): Script {
  const cursor = new Cursor(tokenize(source));
  const options = parseOptions(cursor);
  const initCommand = cursor.is("command") ? cursor.next().text : "";
  const events: ScriptEvent[] = [];
  while (!cursor.is("end")) events.push(parseEvent(cursor));
  return { options, initCommand, events };
}

function parseOptions(cursor: Cursor): ScriptOption[] {
  const options: ScriptOption[] = [];
  while (cursor.is("option")) {
    const { text, line } = cursor.next();
    const equals = text.indexOf("=");
    if (equals < 0) options.push({ name: text, value: null, line });
    else options.push({ name: text.slice(0, equals), value: unquote(text.slice(equals + 1)), line });
  }
  return options;
}

function unquote(value: string): string {
  return /^"[^"]*"$/.test(value) ? value.slice(1, -1) : value;
}

function parseEvent(cursor: Cursor): ScriptEvent {
  const { line } = cursor.peek();
  // A command without a time runs when the event before it is over: the clean-up at the end of many scripts.
  if (cursor.is("command")) {
    return {
      time: { kind: "relative", us: 0, endUs: 0 },
      line,
      action: { type: "command", command: cursor.next().text },
    };
  }
  const time = parseTime(cursor);
  const action = parseAction(cursor);
  checkTime(time, action, line);
  return { time, line, action };
}

/** `0`, `1.5`, `+.1`, `*`, `1.0~1.5`, `+.3~+.310`. */
function parseTime(cursor: Cursor): EventTime {
  if (cursor.accept("punctuation", "*")) return { kind: "any", us: 0, endUs: 0 };
  const relative = cursor.accept("punctuation", "+");
  const us = parseSeconds(cursor);
  if (!cursor.accept("punctuation", "~")) {
    return { kind: relative ? "relative" : "absolute", us, endUs: us };
  }
  if (relative) cursor.punctuation("+");
  const endUs = parseSeconds(cursor);
  if (endUs < us) cursor.fail("time range is backwards");
  return { kind: relative ? "relative-range" : "absolute-range", us, endUs };
}

/** Seconds, as microseconds. */
function parseSeconds(cursor: Cursor): number {
  if (!cursor.is("integer") && !cursor.is("float")) cursor.fail("expected a time");
  const { value, line } = cursor.next();
  if (value < 0) throw new ScriptError("negative time", line);
  return Math.round(value * 1e6);
}

function parseAction(cursor: Cursor): Action {
  if (cursor.is("command")) return { type: "command", command: cursor.next().text };
  if (cursor.is("code")) return { type: "code", code: cursor.next().text };
  if (startsPacket(cursor)) return { type: "packet", packet: parsePacket(cursor) };
  return { type: "syscall", syscall: parseSyscall(cursor, () => parseSeconds(cursor)) };
}

function checkTime(time: EventTime, action: Action, line: number): void {
  if (time.kind === "absolute" || time.kind === "relative") return;
  if (action.type === "packet" && action.packet.direction === "outbound") return;
  throw new ScriptError("'*' and time ranges are for outbound packets only", line);
}
