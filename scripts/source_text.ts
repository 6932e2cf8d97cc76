/**
 * Enough of TypeScript's lexical rules to tell code from comments and strings. Every answer has the length and the
 * line breaks of the source, so positions stay what they were.
 */

const CODE = 0;
const COMMENT = 1;
const STRING = 2;

/** The source with its comments blanked out. */
export function stripComments(source: string): string {
  return blank(source, (kind) => kind === COMMENT);
}

/** The source with comments and the contents of strings, templates and regular expressions blanked out. */
export function blankStrings(source: string): string {
  return blank(source, (kind) => kind !== CODE);
}

function blank(source: string, isBlank: (kind: number) => boolean): string {
  const kinds = classify(source);
  let result = "";
  for (let i = 0; i < source.length; i++) {
    result += isBlank(kinds[i]) && source[i] !== "\n" ? " " : source[i];
  }
  return result;
}

/** For each character: CODE, COMMENT or STRING. Quotes and comment marks belong to what they enclose. */
function classify(source: string): Uint8Array {
  const kinds = new Uint8Array(source.length);
  // Depths of braces at which a template's ${ } ends and its text goes on.
  const templates: number[] = [];
  let depth = 0;
  let at = 0;
  const mark = (end: number, kind: number) => {
    kinds.fill(kind, at, end);
    at = end;
  };
  while (at < source.length) {
    const char = source[at];
    if (char === "/" && source[at + 1] === "/") {
      const end = source.indexOf("\n", at);
      mark(end < 0 ? source.length : end, COMMENT);
    } else if (char === "/" && source[at + 1] === "*") {
      const end = source.indexOf("*/", at + 2);
      mark(end < 0 ? source.length : end + 2, COMMENT);
    } else if (char === '"' || char === "'") {
      mark(endOfQuoted(source, at + 1, char), STRING);
    } else if (char === "/" && startsRegExp(source, kinds, at)) {
      mark(endOfRegExp(source, at + 1), STRING);
    } else if (char === "`" || (char === "}" && templates.at(-1) === depth)) {
      if (char === "}") templates.pop();
      const end = endOfTemplateText(source, at + 1);
      if (source[end - 1] === "{") templates.push(depth);
      mark(end, STRING);
    } else {
      if (char === "{") depth++;
      if (char === "}") depth--;
      at++;
    }
  }
  return kinds;
}

function endOfQuoted(source: string, at: number, quote: string): number {
  while (at < source.length && source[at] !== quote && source[at] !== "\n") at += source[at] === "\\" ? 2 : 1;
  return Math.min(at + 1, source.length);
}

/** Behind the closing backquote, or behind the next `${`. */
function endOfTemplateText(source: string, at: number): number {
  while (at < source.length && source[at] !== "`") {
    if (source[at] === "$" && source[at + 1] === "{") return at + 2;
    at += source[at] === "\\" ? 2 : 1;
  }
  return Math.min(at + 1, source.length);
}

function endOfRegExp(source: string, at: number): number {
  let inClass = false;
  while (at < source.length && source[at] !== "\n" && (inClass || source[at] !== "/")) {
    if (source[at] === "[") inClass = true;
    if (source[at] === "]") inClass = false;
    at += source[at] === "\\" ? 2 : 1;
  }
  return Math.min(at + 1, source.length);
}

/** A slash begins a regular expression where a value may begin, and divides where one has just ended. */
function startsRegExp(source: string, kinds: Uint8Array, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && (kinds[before] === COMMENT || /\s/.test(source[before]))) before--;
  if (before < 0) return true;
  if (kinds[before] === STRING) return false;
  const word = /[\w$]+$/.exec(source.slice(Math.max(0, before - 12), before + 1))?.[0];
  if (word !== undefined) return /^(return|typeof|case|in|of|delete|void|throw|else|do)$/.test(word);
  return !/[)\]}]/.test(source[before]);
}
