// Entropy from the host: clones of one template would otherwise draw the same random numbers.
import { type Native, native } from '../../native/index.ts';
import { AgentError, fromErrno } from '../errors.ts';

/** As much as the kernel takes at once; hosts give 512 bytes. */
const MAX_BYTES = 64 * 1024;

/** Credits the bytes in full and reseeds the generator. @throws internal for no data, invalid_argument for too much */
export async function addEntropy(data: Uint8Array, door: Pick<Native, 'addEntropy'> = native()): Promise<void> {
  if (data.length === 0) throw new AgentError('internal', 'missing entropy data', { fields: { field: 'data' } });
  if (data.length > MAX_BYTES) {
    throw new AgentError('invalid_argument', `data: ${data.length} bytes, more than ${MAX_BYTES}`, { fields: { field: 'data' } });
  }
  try {
    await door.addEntropy(data);
  } catch (error) {
    throw fromErrno(error, 'give entropy to the kernel');
  }
}
