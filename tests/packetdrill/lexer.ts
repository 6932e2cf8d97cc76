/**
 * The words of the packetdrill language, as google/packetdrill's lexer cuts them: whitespace only separates, `//` and
 * C comments are skipped, the longest match wins. Keywords are plain words here; the parser knows where they count.
 */

export type TokenKind =
  | "integer"
  | "hex"
  | "float"
  | "word"
  | "string"
  | "command"
  | "code"
  | "option"
  | "address"
  | "ellipsis"
  | "punctuation"
  | "end";

export interface Token {
  kind: TokenKind;
  /** As written; without quotes or delimiters for strings, commands and code, without `--` for options. */
  text: string;
  /** Of integer, hex and float: the number. */
  value: number;
  /** Line it begins on, from 1. */
  line: number;
}

/** The script is not in the language; `line` says where. */
export class ScriptError extends Error {
  readonly line: number;
  constructor(message: string, line: number) {
    super(message);
    this.name = "ScriptError";
    this.line = line;
  }
}

interface Rule {
  kind: TokenKind | "skip";
  pattern: RegExp;
  /** Characters to cut from either end. */
  trim?: number;
}

/** Tried all at once: the longest match wins, and among equals the first. */
const RULES: Rule[] = [
  { kind: "skip", pattern: /[ \t\r\n\f]+/y },
  { kind: "skip", pattern: /\/\/[^\n]*/y },
  { kind: "skip", pattern: /\/\*[^]*?\*\//y },
  { kind: "code", pattern: /%\{[^]*?\}%/y, trim: 2 },
  { kind: "ellipsis", pattern: /\.\.\./y },
  { kind: "option", pattern: /--[A-Za-z0-9_]+(=(("[^"\n]*")|(`[^`]*`)|[^\s"`]+)+)?/y },
  { kind: "address", pattern: /[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/y },
  { kind: "address", pattern: /([0-9a-fA-F]{1,4}:)*[0-9a-fA-F]{0,4}::[0-9a-fA-F:]*/y },
  { kind: "float", pattern: /-?[0-9]*\.[0-9]+/y },
  { kind: "integer", pattern: /-?[0-9]+/y },
  { kind: "hex", pattern: /0[xX][0-9a-fA-F]+/y },
  { kind: "word", pattern: /[A-Za-z0-9_]+#?/y },
  { kind: "string", pattern: /"(\\[^]|[^"\\])*"/y, trim: 1 },
  { kind: "command", pattern: /`(\\[^]|[^`\\])*`/y, trim: 1 },
  { kind: "punctuation", pattern: /[^\s]/y },
];

/** Cuts a script into tokens; the last one is of kind "end". Throws ScriptError for an unclosed comment or quote. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let position = 0;
  let line = 1;
  while (position < source.length) {
    const { rule, text } = longestMatch(source, position, line);
    if (rule.kind !== "skip") tokens.push(makeToken(rule, rule.kind, text, line));
    line += countNewlines(text);
    position += text.length;
  }
  tokens.push({ kind: "end", text: "end of script", value: 0, line });
  return tokens;
}

function longestMatch(source: string, position: number, line: number): { rule: Rule; text: string } {
  let best: Rule | null = null;
  let text = "";
  for (const rule of RULES) {
    rule.pattern.lastIndex = position;
    const match = rule.pattern.exec(source);
    if (match !== null && match[0].length > text.length) {
      best = rule;
      text = match[0];
    }
  }
  if (best === null) throw new ScriptError(`cannot read '${source[position]}'`, line);
  const unclosed = text === '"' || text === "`" || source.startsWith("/*", position) && best.kind !== "skip";
  if (unclosed) throw new ScriptError(`unclosed ${text === "/" ? "comment" : text}`, line);
  return { rule: best, text };
}

function makeToken(rule: Rule, kind: TokenKind, text: string, line: number): Token {
  const trim = rule.trim ?? 0;
  let body = text.slice(trim, text.length - trim);
  let value = 0;
  if (kind === "option") body = text.slice(2);
  if (kind === "code") body = body.replace(/^[ \t]+|[ \t]+$/g, "");
  if (kind === "string") body = body.replace(/\\([^])/g, "$1");
  // A line that goes on behind a backslash is one line to the shell.
  if (kind === "command") body = body.replace(/\\\n/g, " ");
  if (kind === "integer" || kind === "hex" || kind === "float") value = Number(text);
  return { kind, text: body, value, line };
}

function countNewlines(text: string): number {
  let count = 0;
  for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) count++;
  return count;
}
