// The methods of berth.v1 by name, message classes and the feature that an agent announces for them.
import { berth } from '#proto/berth.js';
import type { MethodTypes } from '../rpc/typed.ts';
import type { Method } from './link.ts';
import type { Feature } from './unsupported.ts';

const v1 = berth.v1;

const service =
  (name: string, common?: Feature) =>
  <Req, Res>(
    method: string,
    request: MethodTypes<Req, Res>['request'],
    response: MethodTypes<Req, Res>['response'],
    feature = common,
  ): Method<Req, Res> => ({
    service: `berth.v1.${name}`,
    name: method,
    request,
    response,
    ...(feature === undefined ? {} : { feature }),
  });

const process = service('Processes', 'processes');
export const PROCESSES = {
  start: process('Start', v1.StartRequest, v1.StartResponse),
  attach: process('Attach', v1.AttachRequest, v1.AttachResponse, 'attach'),
  wait: process('Wait', v1.WaitRequest, v1.WaitResponse),
  signal: process('Signal', v1.SignalRequest, v1.SignalResponse),
  resize: process('Resize', v1.ResizeRequest, v1.ResizeResponse),
  list: process('List', v1.ListProcessesRequest, v1.ListProcessesResponse),
  inspect: process('Inspect', v1.InspectProcessRequest, v1.Process),
  forget: process('Forget', v1.ForgetRequest, v1.ForgetResponse),
  renew: process('Renew', v1.RenewRequest, v1.RenewResponse),
  stats: process('Stats', v1.ProcessStatsRequest, v1.ProcessStatsResponse),
};

const container = service('Containers', 'containers');
export const CONTAINERS = {
  create: container('Create', v1.CreateContainerRequest, v1.Container),
  start: container('Start', v1.StartContainerRequest, v1.Container),
  list: container('List', v1.ListRequest, v1.ListResponse),
  inspect: container('Inspect', v1.InspectContainerRequest, v1.Container),
  delete: container('Delete', v1.DeleteContainerRequest, v1.DeleteContainerResponse),
  pause: container('Pause', v1.PauseRequest, v1.Container),
  resume: container('Resume', v1.ResumeRequest, v1.Container),
  update: container('Update', v1.UpdateContainerRequest, v1.Container),
  stats: container('Stats', v1.ContainerStatsRequest, v1.ContainerStats),
};

const agent = service('Agent');
export const AGENT = {
  info: agent('Info', v1.InfoRequest, v1.InfoResponse),
  setClock: agent('SetClock', v1.SetClockRequest, v1.SetClockResponse),
  addEntropy: agent('AddEntropy', v1.AddEntropyRequest, v1.AddEntropyResponse),
  shutdown: agent('Shutdown', v1.ShutdownRequest, v1.ShutdownResponse),
  sandboxLease: agent('SandboxLease', v1.SandboxLeaseRequest, v1.SandboxLeaseResponse, 'leases'),
  top: agent('Top', v1.TopRequest, v1.TopResponse, 'top'),
  upgrade: agent('Upgrade', v1.UpgradeRequest, v1.UpgradeResponse, 'upgrade'),
};

export const EVENTS = { watch: service('Events', 'events')('Watch', v1.WatchEventsRequest, v1.Event) };

export const TUNNELS = { open: service('Tunnels', 'tunnels')('Open', v1.TunnelRequest, v1.TunnelResponse) };

const files = service('Files', 'files');
export const FILES = {
  read: files('Read', v1.ReadFileRequest, v1.ReadFileResponse),
  write: files('Write', v1.WriteFileRequest, v1.WriteFileResponse),
  stat: files('Stat', v1.StatRequest, v1.FileInfo),
  list: files('List', v1.ListFilesRequest, v1.ListFilesResponse),
  makeDirectory: files('MakeDirectory', v1.MakeDirectoryRequest, v1.FileInfo),
  rename: files('Rename', v1.RenameRequest, v1.FileInfo),
  remove: files('Remove', v1.RemoveRequest, v1.RemoveResponse),
  tarOut: files('TarOut', v1.TarOutRequest, v1.TarOutResponse),
  tarIn: files('TarIn', v1.TarInRequest, v1.TarInResponse),
  watch: files('Watch', v1.WatchFilesRequest, v1.WatchFilesResponse),
};
