// Server reflection, v1 and v1alpha, so that stock gRPC tools can list what we serve and call it without proto files
// (gRPC Server Reflection Protocol). The descriptors are made at build time; nothing is parsed here.
import { files } from '#proto/descriptors.js';
import { grpc } from '#proto/reflection.js';
import type { Method, StreamMethod } from '../../rpc/service.ts';
import { codeToNumber } from '../../rpc/status.ts';

type Request = grpc.reflection.v1.ServerReflectionRequest;
type Response = grpc.reflection.v1.ServerReflectionResponse.$Properties;

const SERVICES = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'] as const;

/** @param services full names of the services that are served, reflection itself left out */
export function reflectionMethods(services: Iterable<string>): Method[] {
  const listed = [...new Set([...services, ...SERVICES])].sort();
  const handle: StreamMethod<Request, Response>['handle'] = async function* (requests) {
    for await (const request of requests) yield { validHost: request.host, originalRequest: request, ...answer(request, listed) };
  };
  // The two versions differ in nothing but their package, so both use one handler.
  return [
    {
      kind: 'bidi',
      service: SERVICES[0],
      name: 'ServerReflectionInfo',
      request: grpc.reflection.v1.ServerReflectionRequest,
      response: grpc.reflection.v1.ServerReflectionResponse,
      handle,
    },
    {
      kind: 'bidi',
      service: SERVICES[1],
      name: 'ServerReflectionInfo',
      request: grpc.reflection.v1alpha.ServerReflectionRequest,
      response: grpc.reflection.v1alpha.ServerReflectionResponse,
      handle,
    },
  ];
}

function answer(request: Request, services: readonly string[]): Response {
  switch (request.messageRequest) {
    case 'listServices':
      return { listServicesResponse: { service: services.map((name) => ({ name })) } };
    case 'fileByFilename':
      return describe(request.fileByFilename!, 'file', (file) => file.name === request.fileByFilename);
    case 'fileContainingSymbol':
      return describe(request.fileContainingSymbol!, 'symbol', (file) => file.symbols.includes(request.fileContainingSymbol!));
    case 'allExtensionNumbersOfType':
      return allExtensions(request.allExtensionNumbersOfType!);
    case 'fileContainingExtension':
      return failure('not_found', `no extension ${request.fileContainingExtension?.extensionNumber}: our files declare none`);
    default:
      return failure('invalid_argument', 'message_request: nothing was asked');
  }
}

/** The file and everything it imports, each once, so that a tool need not ask again. */
function describe(name: string, kind: 'file' | 'symbol', isIt: (file: (typeof files)[number]) => boolean): Response {
  const found = files.find(isIt);
  if (!found) return failure('not_found', `no ${kind} named "${name}"`);
  const wanted = new Set([found.name]);
  for (const each of wanted)
    for (const dependency of files.find((file) => file.name === each)?.dependencies ?? []) wanted.add(dependency);
  const bytes = [...wanted].map((each) => Buffer.from(files.find((file) => file.name === each)!.descriptor, 'base64'));
  return { fileDescriptorResponse: { fileDescriptorProto: bytes } };
}

function allExtensions(type: string): Response {
  if (!files.some((file) => file.symbols.includes(type))) return failure('not_found', `no message named "${type}"`);
  return { allExtensionNumbersResponse: { baseTypeName: type, extensionNumber: [] } };
}

function failure(code: 'not_found' | 'invalid_argument', errorMessage: string): Response {
  return { errorResponse: { errorCode: codeToNumber(code), errorMessage } };
}
