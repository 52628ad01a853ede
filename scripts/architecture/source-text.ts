// Reads TypeScript and C just well enough to tell code from comments and strings, without a compiler.
// `blank` keeps every offset and newline, so a place found in it is a place in the text.

/** The text with comments and the insides of strings, templates and regular expressions replaced by spaces. */
export function blank(text: string): string {
  let out = '';
  // For each open `${` the depth of braces inside it.
  const templates: number[] = [];
  let at = 0;
  const skipTo = (end: number) => {
    out += text.slice(at, end).replace(/[^\n]/g, ' ');
    at = end;
  };
  const copy = (count: number) => {
    out += text.slice(at, at + count);
    at += count;
  };
  const skipTemplate = () => {
    const end = templateEnd(text, at);
    skipTo(end);
    if (text.startsWith('${', at)) {
      copy(2);
      templates.push(0);
    } else copy(1);
  };
  while (at < text.length) {
    const char = text[at] ?? '';
    if (text.startsWith('//', at)) skipTo(endOr(text.indexOf('\n', at), text));
    else if (text.startsWith('/*', at)) skipTo(endOr(text.indexOf('*/', at), text, 2));
    else if (char === '"' || char === "'") {
      copy(1);
      skipTo(quoteEnd(text, at, char));
      copy(1);
    } else if (char === '`') {
      copy(1);
      skipTemplate();
    } else if (char === '/' && startsRegExp(out)) {
      copy(1);
      skipTo(regExpEnd(text, at));
      copy(1);
    } else if (char === '}' && templates.at(-1) === 0) {
      templates.pop();
      copy(1);
      skipTemplate();
    } else {
      if (templates.length > 0 && char === '{') templates[templates.length - 1]!++;
      if (templates.length > 0 && char === '}') templates[templates.length - 1]!--;
      copy(1);
    }
  }
  return out;
}

function endOr(found: number, text: string, add = 0): number {
  return found === -1 ? text.length : found + add;
}

// A quote that its line does not close is an apostrophe in C or broken code; either way it ends with the line.
function quoteEnd(text: string, from: number, quote: string): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === quote || text[at] === '\n') return at;
  }
  return text.length;
}

function templateEnd(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '`' || text.startsWith('${', at)) return at;
  }
  return text.length;
}

function regExpEnd(text: string, from: number): number {
  let inClass = false;
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (char === '\\') at++;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if ((char === '/' && !inClass) || char === '\n') return at;
  }
  return text.length;
}

// A slash divides after a value and opens a regular expression elsewhere.
function startsRegExp(before: string): boolean {
  const last = before.trimEnd();
  return last === '' || /[(,=:[!&|?{};+\-*%<>~^]$/.test(last) || /\b(?:return|typeof|case|in|of|throw|await|yield)$/.test(last);
}
