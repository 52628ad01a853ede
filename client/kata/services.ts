// The methods of Kata's two services and of Berth's own, by the classes of their messages, and the clients made of them.
import { berth } from '#proto/berth.js';
import { google, grpc, types } from '#proto/kata.js';
import type { RpcChannel } from '../rpc/channel.ts';
import { method, type ServiceClient, serviceClient } from '../rpc/typed.ts';

const { Empty } = google.protobuf;

const AGENT = {
  createContainer: method(grpc.CreateContainerRequest, Empty),
  startContainer: method(grpc.StartContainerRequest, Empty),
  removeContainer: method(grpc.RemoveContainerRequest, Empty),
  execProcess: method(grpc.ExecProcessRequest, Empty),
  signalProcess: method(grpc.SignalProcessRequest, Empty),
  waitProcess: method(grpc.WaitProcessRequest, grpc.WaitProcessResponse),
  updateContainer: method(grpc.UpdateContainerRequest, Empty),
  updateEphemeralMounts: method(grpc.UpdateEphemeralMountsRequest, Empty),
  statsContainer: method(grpc.StatsContainerRequest, grpc.StatsContainerResponse),
  pauseContainer: method(grpc.PauseContainerRequest, Empty),
  resumeContainer: method(grpc.ResumeContainerRequest, Empty),
  removeStaleVirtiofsShareMounts: method(grpc.RemoveStaleVirtiofsShareMountsRequest, Empty),
  getDiagnosticData: method(grpc.GetDiagnosticDataRequest, grpc.GetDiagnosticDataResponse),
  writeStdin: method(grpc.WriteStreamRequest, grpc.WriteStreamResponse),
  readStdout: method(grpc.ReadStreamRequest, grpc.ReadStreamResponse),
  readStderr: method(grpc.ReadStreamRequest, grpc.ReadStreamResponse),
  closeStdin: method(grpc.CloseStdinRequest, Empty),
  ttyWinResize: method(grpc.TtyWinResizeRequest, Empty),
  updateInterface: method(grpc.UpdateInterfaceRequest, types.Interface),
  updateRoutes: method(grpc.UpdateRoutesRequest, grpc.Routes),
  listInterfaces: method(grpc.ListInterfacesRequest, grpc.Interfaces),
  listRoutes: method(grpc.ListRoutesRequest, grpc.Routes),
  addARPNeighbors: method(grpc.AddARPNeighborsRequest, Empty),
  getIPTables: method(grpc.GetIPTablesRequest, grpc.GetIPTablesResponse),
  setIPTables: method(grpc.SetIPTablesRequest, grpc.SetIPTablesResponse),
  getMetrics: method(grpc.GetMetricsRequest, grpc.Metrics),
  memAgentMemcgSet: method(grpc.MemAgentMemcgConfig, Empty),
  memAgentCompactSet: method(grpc.MemAgentCompactConfig, Empty),
  createSandbox: method(grpc.CreateSandboxRequest, Empty),
  destroySandbox: method(grpc.DestroySandboxRequest, Empty),
  onlineCPUMem: method(grpc.OnlineCPUMemRequest, Empty),
  reseedRandomDev: method(grpc.ReseedRandomDevRequest, Empty),
  getGuestDetails: method(grpc.GuestDetailsRequest, grpc.GuestDetailsResponse),
  memHotplugByProbe: method(grpc.MemHotplugByProbeRequest, Empty),
  setGuestDateTime: method(grpc.SetGuestDateTimeRequest, Empty),
  copyFile: method(grpc.CopyFileRequest, Empty),
  getOOMEvent: method(grpc.GetOOMEventRequest, grpc.OOMEvent),
  addSwap: method(grpc.AddSwapRequest, Empty),
  addSwapPath: method(grpc.AddSwapPathRequest, Empty),
  getVolumeStats: method(grpc.VolumeStatsRequest, grpc.VolumeStatsResponse),
  resizeVolume: method(grpc.ResizeVolumeRequest, Empty),
  setPolicy: method(grpc.SetPolicyRequest, Empty),
};

const HEALTH = {
  check: method(grpc.CheckRequest, grpc.HealthCheckResponse),
  version: method(grpc.CheckRequest, grpc.VersionCheckResponse),
};

const CONTAINERS = {
  list: method(berth.v1.ListRequest, berth.v1.ListResponse),
};

/** `grpc.AgentService` and `grpc.Health`, typed by the generated messages: `kata.agent.createContainer({ containerId })`. */
export interface KataClient {
  readonly agent: ServiceClient<typeof AGENT>;
  readonly health: ServiceClient<typeof HEALTH>;
}

export function kataClient(channel: RpcChannel): KataClient {
  return { agent: serviceClient(channel, 'grpc.AgentService', AGENT), health: serviceClient(channel, 'grpc.Health', HEALTH) };
}

/** `berth.v1.Containers`. */
export interface BerthClient {
  readonly containers: ServiceClient<typeof CONTAINERS>;
}

export function berthClient(channel: RpcChannel): BerthClient {
  return { containers: serviceClient(channel, 'berth.v1.Containers', CONTAINERS) };
}
