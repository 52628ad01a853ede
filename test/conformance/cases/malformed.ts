// What every RPC has to refuse: a payload that is no message. Its first field claims 255 bytes and has none.
import type { CallStep } from '../case.ts';

export const MALFORMED_PAYLOAD = '0aff01';

/** A field that no version has yet: number 1000, text. It has to be ignored. */
export const UNKNOWN_FIELD_PAYLOAD = 'c23e036e6577';

export function malformed(call: string): CallStep {
  // ttrpc-rust says UNKNOWN, grpc-go INTERNAL; ours says which argument.
  return { call, payload: MALFORMED_PAYLOAD, fails: { code: ['INVALID_ARGUMENT', 'UNKNOWN', 'INTERNAL'] } };
}
