// What a program that imports Berth gets: guests to connect to, VMs to boot, and the types of both.
export { AgentError, type AgentErrorOptions, type Code, type ErrorFields, hasCode } from '../agent/errors.ts';
export type { AttachOptions, Position } from './api/attachment.ts';
export { Container, type CreateOptions, type Limits } from './api/container.ts';
export type { ContainerState } from './api/container-info.ts';
export { type Ending, type EndingBase, exitStatus } from './api/ending.ts';
export type { EventsOptions, GuestEvent } from './api/events.ts';
export type { FileContent, ReadOptions } from './api/file-content.ts';
export type { FileInfo, FileType } from './api/file-info.ts';
export type { FileSource, WriteOptions } from './api/file-upload.ts';
export type { FileChange, WatchOptions } from './api/file-watch.ts';
export type { Files, MakeDirectoryOptions } from './api/files.ts';
export type { Forward, ForwardOptions } from './api/forward.ts';
export { connect, Guest } from './api/guest.ts';
export type { InputRefusal, ProcessInput } from './api/input.ts';
export type { LinkOptions } from './api/link.ts';
export type { Holder, OutputPiece, ProcessOutput } from './api/output.ts';
export { type KillOptions, Process, type ProcessRef } from './api/process.ts';
export type { Processes } from './api/processes.ts';
export {
  type Lifetime,
  type OutputOptions,
  type ProgramOptions,
  StartError,
  type StartOptions,
  type StartStage,
} from './api/start.ts';
export type { TarInOptions, TarOut, TarOutOptions, Unpacked } from './api/tar.ts';
export { type Tunnel, TunnelError, type TunnelOptions, type TunnelTarget } from './api/tunnel.ts';
export { UnsupportedError } from './api/unsupported.ts';
export type { AgentGeneration, Upgraded, UpgradeOptions } from './api/upgrade.ts';
export type { ProcessOptions, SpecOptions } from './default-spec.ts';
export type { Rootfs } from './rootfs.ts';
export { bootGuest } from './vm/boot.ts';
export type { Guest as BootedGuest, GuestExit, StopOptions } from './vm/guest.ts';
export type { BootOptions } from './vm/options.ts';
