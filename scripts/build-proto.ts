// Generates build/proto/ from proto/: protobufjs static modules with their types, and the descriptors for reflection.
// Runs only when an input has changed. In the output 64-bit integers are bigint: proto/int64.ts does the conversion, and
// a construct that this rewriting does not know stops the build.
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { main as pbjs } from 'protobufjs-cli/pbjs.js';
import { describeProtos } from './proto-descriptors.ts';

const root = path.resolve(import.meta.dirname, '..');
const sources = path.join(root, 'proto');
const output = path.join(root, 'build', 'proto');

/** Generated module -> the files it holds. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  kata: ['kata/agent.proto', 'kata/oci.proto', 'kata/types.proto', 'kata/csi.proto', 'kata/health.proto'],
  berth: ['process', 'agent', 'containers', 'processes', 'events', 'tunnels', 'files'].map((name) => `berth/v1/${name}.proto`),
  health: ['grpc/health.proto'],
  reflection: ['grpc/reflection.proto', 'grpc/reflection_v1alpha.proto'],
  ttrpc: ['ttrpc.proto'],
};

/** What a client may ask reflection about; the envelope of ttrpc is no gRPC service. */
const REFLECTED = Object.values(MODULES)
  .flat()
  .filter((file) => file !== 'ttrpc.proto');

const PBJS_FLAGS =
  '-t static-module -w esm -d --alt-comment --no-verify --no-convert --no-delimited --no-typeurl --no-service --dependency protobufjs/minimal.js';

/** Brings build/proto/ up to date; `built` is false when it was. */
export async function buildProto(): Promise<{ built: boolean }> {
  const stamp = path.join(output, '.inputs');
  const hash = await hashInputs();
  if ((await readFile(stamp, 'utf8').catch(() => '')) === hash) return { built: false };
  await rm(output, { recursive: true, force: true });
  await mkdir(output, { recursive: true });
  for (const [name, files] of Object.entries(MODULES)) await generate(name, files);
  await writeDescriptors();
  await writeFile(stamp, hash);
  return { built: true };
}

async function generate(name: string, files: readonly string[]): Promise<void> {
  const target = path.join(output, `${name}.js`);
  const args = [
    ...PBJS_FLAGS.split(' '),
    '-r',
    name,
    '-p',
    sources,
    '-o',
    target,
    ...files.map((file) => path.join(sources, file)),
  ];
  await new Promise<void>((resolve, reject) => {
    pbjs(args, (error) => (error ? reject(error) : resolve()));
  });
  await writeFile(target, bigintCode(await readFile(target, 'utf8'), name));
  const types = target.replace(/\.js$/, '.d.ts');
  await writeFile(types, bigintTypes(await readFile(types, 'utf8'), name));
}

/** A module and not a binary file, so that the agent's bundle carries it. */
async function writeDescriptors(): Promise<void> {
  const files = describeProtos(sources, REFLECTED).map((file) => ({
    ...file,
    descriptor: Buffer.from(file.descriptor).toString('base64'),
  }));
  await writeFile(path.join(output, 'descriptors.js'), `export const files = ${JSON.stringify(files, null, 1)};\n`);
  const fields = 'readonly name: string; readonly dependencies: readonly string[]; readonly symbols: readonly string[]';
  const types = `export const files: readonly { ${fields}; /** base64 */ readonly descriptor: string }[];\n`;
  await writeFile(path.join(output, 'descriptors.d.ts'), types);
}

function bigintCode(code: string, name: string): string {
  let text = code.replace(/^\s*\/\*\*.*?\*\/\n/gms, '');
  // Defaults, of fields and of map values.
  text = text.replace(/\$util\.Long \? \$util\.Long\.from(?:Bits|Number)\([^)]*\) : 0/g, '0n');
  // "is it zero", on both sides.
  text = text.replace(
    /typeof \(value = (reader\.u?int64\(\))\) === "object" \? value\.low \|\| value\.high : value !== 0/g,
    '(value = $1) !== 0n',
  );
  text = text.replace(/\(typeof (message\.\w+) === "object" \? \1\.low \|\| \1\.high : \1 !== 0\)/g, '$1 !== 0n');
  // Reads: packed, then single.
  text = text.replace(
    /reader\.(u?)int64s\((message\.\w+)\)/g,
    (_, u: string, into: string) => `$int64.read${u ? 'Ui' : 'I'}nt64s(reader, ${into})`,
  );
  text = text.replace(/reader\.(u?)int64\(\)/g, (call, u: string) => `$int64.from${u ? 'Ui' : 'I'}nt64(${call})`);
  // Writes: packed, then single.
  text = text.replace(
    /\.(u?)int64s\((message\.\w+)\)/g,
    (_, u: string, from: string) => `.${u}int64s(${from}.map($int64.to${u ? 'Ui' : 'I'}nt64))`,
  );
  text = text.replace(
    /\.(u?)int64\((message\.\w+(?:\[keys\[i\]\]|\[i\])?)\)/g,
    (_, u: string, value: string) => `.${u}int64($int64.to${u ? 'Ui' : 'I'}nt64(${value}))`,
  );
  refuse(text, /Long|(?:sint|fixed)64|\.low\b/, `${name}.js`);
  return text.replace(/^import \$protobuf.*$/m, '$&\nimport * as $int64 from "../../proto/int64.ts";');
}

function bigintTypes(types: string, name: string): string {
  const text = types
    .replace(/^import Long.*\n/m, '')
    .replace(/\(number\|Long\)/g, 'bigint')
    .replace(/number\|Long/g, 'bigint');
  refuse(text, /\bLong\b/, `${name}.d.ts`);
  return text;
}

function refuse(text: string, pattern: RegExp, file: string): void {
  const at = text.split('\n').find((line) => pattern.test(line));
  if (at !== undefined)
    throw new Error(`${file}: a 64-bit integer was generated in a way build-proto.ts does not know: ${at.trim()}`);
}

async function hashInputs(): Promise<string> {
  const require = createRequire(import.meta.url);
  const hash = createHash('sha256');
  for (const tool of ['protobufjs', 'protobufjs-cli']) hash.update(require(`${tool}/package.json`).version);
  const files = (await readdir(sources, { recursive: true })).filter((file) => /\.(proto|ts)$/.test(file)).sort();
  const own = ['build-proto.ts', 'proto-descriptors.ts'].map((file) => path.join(import.meta.dirname, file));
  for (const file of [...own, ...files.map((file) => path.join(sources, file))]) {
    hash.update(`\0${path.relative(root, file)}\0`).update(await readFile(file));
  }
  return hash.digest('hex');
}

if (import.meta.main) {
  const { built } = await buildProto();
  console.log(built ? 'build/proto: generated' : 'build/proto: up to date');
}
