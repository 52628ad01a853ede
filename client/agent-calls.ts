// The calls of Kata's AgentService that containers are made of, by the names and messages of proto/kata/agent.proto.
import type { grpc } from '#proto/kata.js';

export interface CallOptions {
  /** Gives the call up: the agent is told where the protocol can, and the promise rejects with `cancelled`. */
  signal?: AbortSignal;
  /** Deadline of the call, ms; none unless given. */
  timeoutMs?: number;
}

export type Call<Request, Response> = (request: Request, options?: CallOptions) => Promise<Response>;

export interface AgentCalls {
  createSandbox: Call<grpc.ICreateSandboxRequest, unknown>;
  createContainer: Call<grpc.ICreateContainerRequest, unknown>;
  startContainer: Call<grpc.IStartContainerRequest, unknown>;
  removeContainer: Call<grpc.IRemoveContainerRequest, unknown>;
  execProcess: Call<grpc.IExecProcessRequest, unknown>;
  signalProcess: Call<grpc.ISignalProcessRequest, unknown>;
  waitProcess: Call<grpc.IWaitProcessRequest, grpc.WaitProcessResponse>;
  writeStdin: Call<grpc.IWriteStreamRequest, grpc.WriteStreamResponse>;
  closeStdin: Call<grpc.ICloseStdinRequest, unknown>;
  readStdout: Call<grpc.IReadStreamRequest, grpc.ReadStreamResponse>;
  readStderr: Call<grpc.IReadStreamRequest, grpc.ReadStreamResponse>;
  ttyWinResize: Call<grpc.ITtyWinResizeRequest, unknown>;
  statsContainer: Call<grpc.IStatsContainerRequest, grpc.StatsContainerResponse>;
}
