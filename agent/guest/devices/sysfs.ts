// Attributes of sysfs that are told something.
import { constants } from 'node:fs';
import { writeFile } from 'node:fs/promises';

/** One write, of the whole text. Never makes a file; an attribute that can't be read must not be opened for reading (EACCES). */
export async function writeAttribute(path: string, text: string): Promise<void> {
  await writeFile(path, text, { flag: constants.O_WRONLY });
}
