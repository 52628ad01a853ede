// Reads spans as Kata's trace forwarder does: eight bytes of length, most significant first, then so many of JSON.

/** Gets chunks of the stream, calls back for each span; ids above 2^53 are rounded by JSON. */
export function spanReader(onSpan: (json: Record<string, unknown>, text: string) => void): (chunk: Buffer) => void {
  let bytes: Buffer = Buffer.alloc(0);
  return (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 8) {
      const end = 8 + Number(bytes.readBigUInt64BE(0));
      if (bytes.length < end) return;
      const text = bytes.toString('utf8', 8, end);
      bytes = bytes.subarray(end);
      onSpan(JSON.parse(text) as Record<string, unknown>, text);
    }
  };
}
