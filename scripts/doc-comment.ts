// Doc comments as Markdown.

/** The text between the marks, its lines without their stars. */
export function stripComment(text: string): string {
  return text
    .trim()
    .replace(/^\/\*\*?\s?/, '')
    .replace(/\s*\*\/$/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\*\s?/, ''))
    .join('\n')
    .trim();
}

/** With its tags as sentences of their own. */
export function prose(comment: string): string {
  return comment
    .replace(/\{@link ([^}]+)\}/g, '`$1`')
    .replace(/\s*@throws \{?(\w+)\}?/g, '\n\n*Throws* `$1`')
    .replace(/\s*@returns /g, '\n\n*Returns* ')
    .replace(/\s*@param (\w+) /g, '\n\n`$1`: ')
    .trim();
}

/** In the cell of a table. */
export function cell(text: string): string {
  return text.replace(/\s+/g, ' ').replaceAll('|', '\\|').trim();
}
