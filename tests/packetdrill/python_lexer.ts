/** Tokens of the small part of Python that packetdrill scripts use between `%{` and `}%`. */

export interface PyToken {
  kind: "number" | "string" | "name" | "operator" | "newline" | "indent" | "dedent" | "end";
  text: string;
}

/** The code goes beyond what is understood here. */
export class PythonError extends Error {
  override readonly name = "PythonError";
}

const PATTERN =
  /([ \t]+|\\\n)|(#[^\n]*)|(0[xX][0-9a-fA-F_]+|[0-9][0-9_]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+)|([A-Za-z_][A-Za-z0-9_]*)|("""[^]*?"""|'''[^]*?'''|"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*')|(\*\*|\/\/|<<|>>|[-+*/%&|^<>=!]=|[-+*/%&|^~<>()[\]{},:.=;])/y;

/** Cuts code into tokens, with Python's indentation as tokens of its own. */
export function tokenizePython(code: string): PyToken[] {
  const tokens: PyToken[] = [];
  const indents = [0];
  let depth = 0;
  let logical = "";
  for (const line of code.split("\n")) {
    logical += logical === "" ? line : "\n" + line;
    if (line.endsWith("\\")) continue;
    if (depth === 0 && /^\s*(#.*)?$/.test(logical)) {
      logical = "";
      continue;
    }
    const part = tokenizeLine(logical);
    depth = openBrackets(part);
    if (depth > 0) continue;
    pushIndentation(tokens, indents, /^[ \t]*/.exec(logical)![0].replaceAll("\t", "        ").length);
    tokens.push(...part, { kind: "newline", text: "\n" });
    logical = "";
  }
  if (logical !== "") throw new PythonError("unclosed bracket");
  while (indents.length > 1) {
    indents.pop();
    tokens.push({ kind: "dedent", text: "" });
  }
  tokens.push({ kind: "end", text: "" });
  return tokens;
}

function pushIndentation(tokens: PyToken[], indents: number[], width: number): void {
  // The snippet's first line lost its indentation with the `%{`: take what the first line has as the base.
  if (tokens.length === 0) indents[0] = width;
  if (tokens.length > 0 && indents.length === 1 && !endsWithColon(tokens)) return;
  if (width > indents[indents.length - 1] && endsWithColon(tokens)) {
    indents.push(width);
    tokens.push({ kind: "indent", text: "" });
  }
  while (width < indents[indents.length - 1] && indents.length > 1) {
    indents.pop();
    tokens.push({ kind: "dedent", text: "" });
  }
}

function endsWithColon(tokens: PyToken[]): boolean {
  return tokens.length >= 2 && tokens[tokens.length - 1].kind === "newline" &&
    tokens[tokens.length - 2].text === ":";
}

function openBrackets(tokens: PyToken[]): number {
  let depth = 0;
  for (const { kind, text } of tokens) {
    if (kind !== "operator") continue;
    if ("([{".includes(text)) depth++;
    if (")]}".includes(text)) depth--;
  }
  return depth;
}

function tokenizeLine(line: string): PyToken[] {
  const tokens: PyToken[] = [];
  PATTERN.lastIndex = 0;
  while (PATTERN.lastIndex < line.length) {
    if (line[PATTERN.lastIndex] === "\n") {
      PATTERN.lastIndex++;
      continue;
    }
    const at = PATTERN.lastIndex;
    const match = PATTERN.exec(line);
    if (match === null) throw new PythonError(`cannot read '${line.slice(at, at + 20)}'`);
    const [, , , number, name, string, operator] = match;
    if (number !== undefined) tokens.push({ kind: "number", text: number });
    else if (name !== undefined) tokens.push({ kind: "name", text: name });
    else if (string !== undefined) tokens.push({ kind: "string", text: unquote(string) });
    else if (operator !== undefined) tokens.push({ kind: "operator", text: operator });
  }
  return tokens;
}

function unquote(literal: string): string {
  const body = /^("""|''')/.test(literal) ? literal.slice(3, -3) : literal.slice(1, -1);
  return body.replace(
    /\\([^])/g,
    (_, escaped: string) => ({ n: "\n", t: "\t", "\n": "" })[escaped] ?? escaped,
  );
}
