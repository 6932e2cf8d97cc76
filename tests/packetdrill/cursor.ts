import { ScriptError, type Token, type TokenKind } from "./lexer.ts";

/** Walks over the tokens of a script. */
export class Cursor {
  readonly #tokens: Token[];
  #position = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  /** The token `ahead` places on, without taking it. */
  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#position + ahead, this.#tokens.length - 1)];
  }

  next(): Token {
    const token = this.peek();
    this.#position++;
    return token;
  }

  is(kind: TokenKind, text?: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === kind && (text === undefined || token.text === text);
  }

  isPunctuation(text: string, ahead = 0): boolean {
    return this.is("punctuation", text, ahead);
  }

  /** Takes the token if it is this one. */
  accept(kind: TokenKind, text?: string): boolean {
    if (!this.is(kind, text)) return false;
    this.next();
    return true;
  }

  expect(kind: TokenKind, text?: string): Token {
    if (!this.is(kind, text)) this.fail(`expected ${text === undefined ? kind : `'${text}'`}`);
    return this.next();
  }

  punctuation(text: string): Token {
    return this.expect("punctuation", text);
  }

  /** A whole number, decimal or hexadecimal, between the bounds. */
  integer(what: string, low = 0, high = 0xffffffff): number {
    if (!this.is("integer") && !this.is("hex")) this.fail(`expected ${what}`);
    const token = this.next();
    if (token.value < low || token.value > high) {
      throw new ScriptError(`${what} out of range: ${token.text}`, token.line);
    }
    return token.value;
  }

  fail(message: string): never {
    const token = this.peek();
    throw new ScriptError(`${message}, found '${token.text.slice(0, 40)}'`, token.line);
  }
}
