import type { Expression, Field, SyscallSpec } from "./ast.ts";
import type { Cursor } from "./cursor.ts";

/** `+0...0.200 read(4, ..., 1000) = -1 EAGAIN (Resource temporarily unavailable)`, from behind the event's time. */
export function parseSyscall(cursor: Cursor, parseTime: () => number): SyscallSpec {
  const endUs = cursor.accept("ellipsis") ? parseTime() : -1;
  const name = cursor.expect("word").text;
  const args = parseArguments(cursor);
  cursor.punctuation("=");
  const result = parseExpression(cursor);
  let error = "";
  if (cursor.is("word") && cursor.isPunctuation("(", 1)) error = cursor.next().text;
  else if (cursor.is("word") && /^E[A-Z0-9]+$/.test(cursor.peek().text)) error = cursor.next().text;
  skipNote(cursor);
  return { name, args, result, error, endUs };
}

/** `(Operation now in progress)`: said for the reader only. */
function skipNote(cursor: Cursor): void {
  if (!cursor.accept("punctuation", "(")) return;
  let depth = 1;
  while (depth > 0) {
    if (cursor.is("end")) cursor.fail("unclosed note");
    const token = cursor.next();
    if (token.kind === "punctuation" && token.text === "(") depth++;
    if (token.kind === "punctuation" && token.text === ")") depth--;
  }
}

function parseArguments(cursor: Cursor): Expression[] {
  cursor.punctuation("(");
  return parseItems(cursor, ")");
}

/** Expressions separated by commas, up to and with the closing mark. */
function parseItems(cursor: Cursor, close: string): Expression[] {
  const items: Expression[] = [];
  if (cursor.accept("punctuation", close)) return items;
  do {
    items.push(parseExpression(cursor));
  } while (cursor.accept("punctuation", ","));
  cursor.punctuation(close);
  return items;
}

export function parseExpression(cursor: Cursor): Expression {
  let left = parsePrimary(cursor);
  while (cursor.accept("punctuation", "|")) {
    left = { kind: "or", left, right: parsePrimary(cursor) };
  }
  return left;
}

function parsePrimary(cursor: Cursor): Expression {
  const token = cursor.peek();
  switch (token.kind) {
    case "ellipsis":
      cursor.next();
      return { kind: "ellipsis" };
    case "integer":
    case "hex":
      cursor.next();
      return { kind: "number", value: token.value, text: token.text };
    case "string":
      return parseString(cursor);
    case "word":
      return parseWord(cursor);
    case "punctuation":
      if (cursor.accept("punctuation", "[")) return { kind: "list", items: parseItems(cursor, "]") };
      if (cursor.accept("punctuation", "{")) return parseStruct(cursor);
      if (cursor.accept("punctuation", "(")) {
        const inner = parseExpression(cursor);
        cursor.punctuation(")");
        return inner;
      }
      return cursor.fail("expected an expression");
    default:
      return cursor.fail("expected an expression");
  }
}

/** Strings side by side are one; `"abc"...` goes on in a way that is not said. */
function parseString(cursor: Cursor): Expression {
  let value = cursor.next().text;
  while (cursor.is("string")) value += cursor.next().text;
  const open = cursor.accept("ellipsis");
  return { kind: "string", value, open };
}

function parseWord(cursor: Cursor): Expression {
  const name = cursor.next().text;
  if (cursor.isPunctuation("(")) return { kind: "call", name, args: parseArguments(cursor) };
  if (cursor.accept("punctuation", "=")) return { kind: "assign", name, value: parseExpression(cursor) };
  return { kind: "word", name };
}

/** `{events=POLLIN, fd=3}`, `{msg_name(...)=..., ...}` or `{..., 1000}`, from behind the brace. */
function parseStruct(cursor: Cursor): Expression {
  const fields: Field[] = [];
  const items: Expression[] = [];
  if (cursor.accept("punctuation", "}")) return { kind: "struct", fields, items };
  do {
    const item = parseExpression(cursor);
    if (item.kind === "assign") {
      fields.push({ name: item.name, args: [], value: item.value });
    } else if (item.kind === "call" && cursor.accept("punctuation", "=")) {
      fields.push({ name: item.name, args: item.args, value: parseExpression(cursor) });
    } else {
      items.push(item);
    }
  } while (cursor.accept("punctuation", ","));
  cursor.punctuation("}");
  return { kind: "struct", fields, items };
}
