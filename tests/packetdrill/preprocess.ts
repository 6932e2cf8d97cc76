/**
 * The conditional lines of the FreeBSD suite: `#ifdef STANDARD ... #else ... #endif`. What is left out becomes empty
 * lines, so that line numbers stay. A name is defined by `#define` or by the caller.
 */
export function preprocess(source: string, defined: readonly string[]): string {
  if (!/^#(if|define)/m.test(source)) return source;
  const names = new Set(defined);
  const nesting: { taken: boolean; live: boolean }[] = [];
  const isLive = () => nesting.every(({ live }) => live);
  return source.split("\n").map((line) => {
    const directive = /^#\s*(ifdef|ifndef|else|endif|define|undef)\b\s*(\w*)/.exec(line);
    if (directive === null) return isLive() ? line : "";
    const [, word, name] = directive;
    if (word === "ifdef" || word === "ifndef") {
      const live = names.has(name) === (word === "ifdef");
      nesting.push({ taken: live, live });
    } else if (word === "else") {
      const top = nesting[nesting.length - 1];
      if (top !== undefined) top.live = !top.taken;
    } else if (word === "endif") nesting.pop();
    else if (isLive() && word === "define") names.add(name);
    else if (isLive()) names.delete(name);
    return "";
  }).join("\n");
}
