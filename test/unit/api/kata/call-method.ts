// Calls one method of a family as a server would: bytes in, bytes out.
import assert from 'node:assert/strict';
import type { Method } from '../../../../agent/rpc/service.ts';

export async function callMethod(methods: readonly Method[], name: string, request: Uint8Array): Promise<Uint8Array> {
  const method = methods.find((candidate) => candidate.name === name);
  assert.ok(method?.kind === 'unary', `no unary method ${name}`);
  const call = {
    caller: { id: 'c1', protocol: 'ttrpc', peer: 'unix' },
    signal: new AbortController().signal,
    metadata: new Map<string, string>(),
    onAnswered: () => {},
  } as const;
  return method.response.encode(await method.handle(method.request.decode(request), call)).finish();
}
