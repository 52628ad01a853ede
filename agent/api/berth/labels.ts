// Labels: short texts that clients put on what they make, to find it again.
import { AgentError } from '../../errors.ts';

const MAX_LABELS = 32;
const MAX_LABEL_BYTES = 256;

/** @throws invalid_argument naming the field */
export function checkLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) throw invalid(`${entries.length} labels, more than ${MAX_LABELS}`);
  for (const [name, value] of entries) {
    if (name === '' || Buffer.byteLength(name) > MAX_LABEL_BYTES || Buffer.byteLength(value) > MAX_LABEL_BYTES)
      throw invalid(`label ${JSON.stringify(name.slice(0, 64))}: name and value are 1 and 0 to ${MAX_LABEL_BYTES} bytes`);
  }
  return labels;
}

/** Whether `labels` has every one of `wanted`. */
export function matchesLabels(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value);
}

function invalid(problem: string): AgentError {
  return new AgentError('invalid_argument', `labels: ${problem}`, { fields: { field: 'labels' } });
}
