// Gets the policy from its file. Fails closed: a file that can't be used, or is not there, refuses every call. Loaded only where there
// is a policy.
import { constants, type FileHandle, open } from 'node:fs/promises';
import { parse } from 'smol-toml';
import { AgentError, describeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { type PolicyDocument, readDocument } from './document.ts';
import { compilePolicy, type MethodName, type Policy, refuseAll, rpcMatcher } from './policy.ts';

const MAX_POLICY_BYTES = 1_048_576;
const MAX_DEPTH = 16;

/** What a rule can be about: one that is about none of them is a mistake. */
export interface KnownMethod extends MethodName {
  /** Whether its request has a field of that name. */
  hasField(name: string): boolean;
}

/** Never fails: a policy that can't be used is one that refuses everything and says why. */
export async function loadPolicy(file: string, methods: readonly KnownMethod[], log: Logger): Promise<Policy> {
  try {
    const document = parsePolicy(await readPolicy(file), methods);
    log.info('policy in force', { file, default: document.fallback, rules: document.rules.length });
    return compilePolicy(document);
  } catch (error) {
    log.error('policy can not be used: every call but those of health is refused', { file, error });
    return refuseAll(`the policy file ${file} can't be used: ${describeError(error)}`);
  }
}

/** @throws invalid_argument naming rule and key, or the line where it is no TOML */
export function parsePolicy(text: string, methods: readonly KnownMethod[]): PolicyDocument {
  const document = readDocument(parseToml(text));
  for (const { name, rpcs, fields } of document.rules) {
    const idle = rpcs.find((pattern) => !methods.some(rpcMatcher([pattern])));
    if (idle !== undefined) throw misnamed(`rule "${name}".rpcs`, `no RPC is named ${JSON.stringify(idle)}`);
    const about = methods.filter(rpcMatcher(rpcs));
    for (const path of Object.keys(fields)) {
      const first = path.split('.', 1)[0] as string;
      if (!about.some((method) => method.hasField(first)))
        throw misnamed(`rule "${name}".fields`, `no request of its RPCs has a field ${first}`);
    }
  }
  return document;
}

function misnamed(place: string, problem: string): AgentError {
  return new AgentError('invalid_argument', `${place}: ${problem}`, { fields: { field: place } });
}

function parseToml(text: string): unknown {
  try {
    return parse(text, { maxDepth: MAX_DEPTH });
  } catch (error) {
    throw new AgentError('invalid_argument', `not TOML: ${error instanceof Error ? error.message.split('\n')[0] : error}`, {
      cause: error,
    });
  }
}

/** A file, or a disk that holds the text and is filled up with white space. */
async function readPolicy(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readAll(file, path));
  } finally {
    await file.close();
  }
}

async function readAll(file: FileHandle, path: string): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(MAX_POLICY_BYTES + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    length += bytesRead;
    if (length > MAX_POLICY_BYTES) throw new AgentError('invalid_argument', `${path} is longer than ${MAX_POLICY_BYTES} bytes`);
    if (bytesRead === 0) return buffer.subarray(0, length);
  }
}
