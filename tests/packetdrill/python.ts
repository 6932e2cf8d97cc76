import { evaluateBinary, evaluateCall, type PyValue, repr, truth } from "./python_values.ts";
import { PythonError, type PyToken, tokenizePython } from "./python_lexer.ts";

export { PythonError } from "./python_lexer.ts";
export type { PyValue } from "./python_values.ts";

/** An `assert` of a script did not hold. */
export class AssertionFailed extends Error {
  override readonly name = "AssertionFailed";
}

/**
 * Runs the Python of a `%{ ... }%`: assertions, assignments, print and if, over the names given. Assignments stay in
 * `names` for the snippets after it. Throws AssertionFailed when an assertion does not hold (the message has what the
 * script says and the values of the names in it) and PythonError for anything beyond this part of Python.
 */
export function runPython(
  code: string,
  names: Map<string, PyValue>,
  print: (line: string) => void = () => {},
): void {
  new Interpreter(tokenizePython(code), names, print).run();
}

/** Binding powers of binary operators, from loose to tight, as in Python's reference 6.17. */
const PRECEDENCE: Record<string, number> = {
  "|": 1,
  "^": 2,
  "&": 3,
  "<<": 4,
  ">>": 4,
  "+": 5,
  "-": 5,
  "*": 6,
  "/": 6,
  "//": 6,
  "%": 6,
};

const COMPARISONS = new Set(["<", ">", "<=", ">=", "==", "!=", "in", "is", "not"]);

class Interpreter {
  readonly #tokens: PyToken[];
  readonly #names: Map<string, PyValue>;
  readonly #print: (line: string) => void;
  #position = 0;
  /** Names read by the assertion at hand, for its message. */
  #read = new Map<string, PyValue>();
  /** False in the branch not taken: everything is parsed, nothing is done. */
  #live = true;

  constructor(tokens: PyToken[], names: Map<string, PyValue>, print: (line: string) => void) {
    this.#tokens = tokens;
    this.#names = names;
    this.#print = print;
  }

  run(): void {
    while (this.#peek().kind !== "end") this.#statement();
  }

  #peek(ahead = 0): PyToken {
    return this.#tokens[Math.min(this.#position + ahead, this.#tokens.length - 1)];
  }

  #is(text: string): boolean {
    const token = this.#peek();
    return token.text === text && (token.kind === "operator" || token.kind === "name");
  }

  #accept(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#position++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#accept(text)) throw new PythonError(`expected '${text}', found '${this.#peek().text}'`);
  }

  #statement(): void {
    if (this.#is("if")) return this.#if();
    const token = this.#peek();
    const unsupported = ["def", "for", "while", "class", "import", "from", "try", "with", "lambda"];
    if (token.kind === "name" && unsupported.includes(token.text)) {
      throw new PythonError(`'${token.text}' is not supported in code`);
    }
    this.#simple();
    while (this.#accept(";")) {
      if (this.#peek().kind !== "newline") this.#simple();
    }
    this.#endOfLine();
  }

  #endOfLine(): void {
    const { kind, text } = this.#peek();
    if (kind !== "newline" && kind !== "end") throw new PythonError(`unexpected '${text}'`);
    if (kind === "newline") this.#position++;
  }

  #if(): void {
    const outer = this.#live;
    let taken = false;
    for (let keyword = "if"; this.#accept(keyword); keyword = this.#is("elif") ? "elif" : "") {
      this.#live = outer && !taken;
      const holds = truth(this.#expression());
      this.#live = outer && !taken && holds;
      taken ||= holds;
      this.#block();
    }
    if (this.#accept("else")) {
      this.#live = outer && !taken;
      this.#block();
    }
    this.#live = outer;
  }

  #block(): void {
    this.#expect(":");
    if (this.#peek().kind !== "newline") return this.#statement();
    this.#position++;
    if (this.#peek().kind !== "indent") throw new PythonError("expected an indented block");
    this.#position++;
    while (this.#peek().kind !== "dedent") this.#statement();
    this.#position++;
  }

  #simple(): void {
    if (this.#accept("assert")) return this.#assert();
    if (this.#accept("pass")) return;
    const token = this.#peek();
    const operator = this.#peek(1).text;
    if (token.kind === "name" && /^[-+*/%&|^]?=$/.test(operator)) {
      this.#position += 2;
      const right = this.#expressions();
      const compound = operator.slice(0, -1);
      const value = compound === "" ? right : this.#apply(compound, this.#lookUp(token.text), right);
      if (this.#live) this.#names.set(token.text, value);
      return;
    }
    this.#expressions();
  }

  #assert(): void {
    const start = this.#position;
    this.#read = new Map();
    const holds = truth(this.#expression());
    const source = this.#source(start, this.#position);
    const read = this.#read;
    const live = this.#live;
    const message = this.#accept(",") ? this.#only(!holds, () => this.#expression()) : null;
    if (holds || !live) return;
    const values = [...read].map(([name, value]) => `${name} is ${repr(value)}`);
    const said = message === null || values.some((value) => value.endsWith(` ${repr(message)}`))
      ? []
      : [repr(message)];
    throw new AssertionFailed([`assert ${source}`, ...values, ...said].join("; "));
  }

  #source(from: number, to: number): string {
    const texts = this.#tokens.slice(from, to).map(({ kind, text }) =>
      kind === "string" ? `'${text}'` : text
    );
    return texts.join(" ").replace(/([(\[]) /g, "$1").replace(/ ([)\],])/g, "$1");
  }

  /** Expressions with commas between them are a tuple. */
  #expressions(): PyValue {
    const first = this.#expression();
    if (!this.#is(",")) return first;
    const items = [first];
    while (this.#accept(",")) {
      const { kind } = this.#peek();
      if (kind === "newline" || kind === "end" || this.#is(")") || this.#is("]")) break;
      items.push(this.#expression());
    }
    return items;
  }

  /** Reads on; evaluates it only if `condition` holds, as Python does behind `and`, `or` and `assert ..,`. */
  #only(condition: boolean, read: () => PyValue): PyValue {
    const outer = this.#live;
    this.#live = outer && condition;
    const value = read();
    this.#live = outer;
    return value;
  }

  #apply(operator: string, left: PyValue, right: PyValue): PyValue {
    return this.#live ? evaluateBinary(operator, left, right) : null;
  }

  #expression(): PyValue {
    const value = this.#or();
    if (!this.#accept("if")) return value;
    const holds = truth(this.#or());
    this.#expect("else");
    const other = this.#expression();
    return holds ? value : other;
  }

  #or(): PyValue {
    let value = this.#and();
    while (this.#accept("or")) {
      const right = this.#only(!truth(value), () => this.#and());
      if (!truth(value)) value = right;
    }
    return value;
  }

  #and(): PyValue {
    let value = this.#not();
    while (this.#accept("and")) {
      const right = this.#only(truth(value), () => this.#not());
      if (truth(value)) value = right;
    }
    return value;
  }

  #not(): PyValue {
    if (this.#accept("not")) return !truth(this.#not());
    return this.#comparison();
  }

  /** `a < b <= c` holds when each neighbouring pair does. */
  #comparison(): PyValue {
    let left = this.#binary(1);
    let holds: PyValue | null = null;
    while (COMPARISONS.has(this.#peek().text) && this.#peek().kind !== "string") {
      let operator = this.#peek().text;
      this.#position++;
      if (operator === "not") {
        this.#expect("in");
        operator = "not in";
      } else if (operator === "is" && this.#accept("not")) operator = "is not";
      const right = this.#binary(1);
      if (holds === null || truth(holds)) holds = this.#apply(operator, left, right);
      left = right;
    }
    return holds ?? left;
  }

  #binary(level: number): PyValue {
    let left = this.#unary();
    for (;;) {
      const { kind, text } = this.#peek();
      const precedence = kind === "operator" ? PRECEDENCE[text] : undefined;
      if (precedence === undefined || precedence < level) return left;
      this.#position++;
      left = this.#apply(text, left, this.#binary(precedence + 1));
    }
  }

  #unary(): PyValue {
    if (this.#accept("-")) return -Number(this.#unary());
    if (this.#accept("+")) return Number(this.#unary());
    if (this.#accept("~")) return -Number(this.#unary()) - 1;
    const base = this.#postfix();
    return this.#accept("**") ? this.#apply("**", base, this.#unary()) : base;
  }

  #postfix(): PyValue {
    const token = this.#peek();
    if (token.kind === "name" && this.#peek(1).text === "(" && this.#peek(1).kind === "operator") {
      this.#position += 2;
      const args = this.#arguments(")");
      return this.#live ? evaluateCall(token.text, args, this.#print) : null;
    }
    let value = this.#primary();
    while (this.#accept("[")) {
      const [index] = this.#arguments("]");
      value = this.#apply("[]", value, index);
    }
    return value;
  }

  #arguments(close: string): PyValue[] {
    const args: PyValue[] = [];
    while (!this.#accept(close)) {
      // Keyword arguments (print's file= and end=) change nothing here.
      if (this.#peek(1).text === "=" && this.#peek().kind === "name") {
        this.#position += 2;
        this.#skipAttribute();
      } else args.push(this.#expression());
      if (!this.#is(close)) this.#expect(",");
    }
    return args;
  }

  /** `sys.stderr`, as the value of a keyword argument that does not matter. */
  #skipAttribute(): void {
    const name = this.#peek();
    if (name.kind === "name" && this.#peek(1).text === ".") this.#position += 3;
    else this.#expression();
  }

  #primary(): PyValue {
    const token = this.#peek();
    this.#position++;
    if (token.kind === "number") return Number(token.text.replaceAll("_", ""));
    if (token.kind === "string") {
      let text = token.text;
      while (this.#peek().kind === "string") text += this.#tokens[this.#position++].text;
      return text;
    }
    if (token.kind === "name") return this.#lookUp(token.text);
    if (token.kind === "operator" && token.text === "(") {
      if (this.#accept(")")) return [];
      const value = this.#expressions();
      this.#expect(")");
      return value;
    }
    if (token.kind === "operator" && token.text === "[") return this.#arguments("]");
    throw new PythonError(`unexpected '${token.text.trim() || token.kind}'`);
  }

  #lookUp(name: string): PyValue {
    if (name === "True") return true;
    if (name === "False") return false;
    if (name === "None") return null;
    const value = this.#names.get(name);
    if (!this.#live) return value ?? null;
    if (value !== undefined) {
      this.#read.set(name, value);
      return value;
    }
    throw new PythonError(`name '${name}' is not defined`);
  }
}
