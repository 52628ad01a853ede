// berth.v1.Processes: started, watched, fed, signalled, forgotten; in containers and in the guest itself.
import { berth } from '#proto/berth.js';
import { readStatuses } from '../../container/process-status.ts';
import type { Method } from '../../rpc/service.ts';
import type { ProcessEntry } from '../../sandbox/process-entry.ts';
import { unlessAborted } from '../../unless-aborted.ts';
import { attachMethod, type ProcessMethodOptions } from './attach.ts';
import { berthService } from './method.ts';
import { endedMessage, processMessage } from './process-message.ts';
import { refuse, toRef, toSize } from './process-ref.ts';
import { checkGrace, toStartRequest } from './start-request.ts';

const v1 = berth.v1;
const { Scope } = v1.SignalRequest;
/** signal(7); what is above is no signal on any architecture. */
const MAX_SIGNAL = 64;

export function processMethods(options: ProcessMethodOptions): Method[] {
  const { processes, clients, bootId } = options;
  const { unary } = berthService('Processes', clients);
  const message = async (entry: ProcessEntry) => processMessage(entry, await bootId());
  return [
    unary('Start', v1.StartRequest, v1.StartResponse, async (request, { client }) => {
      const { entry, existed } = await processes.start(toStartRequest(request), client);
      return { process: await message(entry), existed };
    }),
    attachMethod(options),
    unary('Wait', v1.WaitRequest, v1.WaitResponse, async ({ ref }, { signal }) => {
      const { ended } = processes.get(toRef(ref));
      return { exit: endedMessage(await unlessAborted(ended, signal)) };
    }),
    unary('Signal', v1.SignalRequest, v1.SignalResponse, async ({ ref, signal, scope, graceMs }, { client }) => {
      if (signal < 1 || signal > MAX_SIGNAL) refuse('signal', `${signal} is no signal`);
      const tree = scope === Scope.SCOPE_TREE;
      const grace = graceMs == null ? undefined : checkGrace(graceMs);
      return { survivors: await processes.signal(toRef(ref), signal, tree ? 'tree' : 'leader', grace, client) };
    }),
    unary('Resize', v1.ResizeRequest, v1.ResizeResponse, ({ ref, size }) => {
      const { rows, columns } = toSize(size);
      processes.get(toRef(ref)).resize(rows, columns);
      return {};
    }),
    unary('List', v1.ListProcessesRequest, v1.ListProcessesResponse, async ({ containerId, tree }) => {
      const boot = await bootId();
      const trees = [];
      for (const entry of processes.list(containerId ?? undefined)) {
        trees.push({ process: processMessage(entry, boot), members: tree ? await membersOf(entry) : [] });
      }
      return { processes: trees };
    }),
    unary('Inspect', v1.InspectProcessRequest, v1.Process, ({ ref }) => message(processes.get(toRef(ref)))),
    unary('Forget', v1.ForgetRequest, v1.ForgetResponse, ({ ref }, { client }) => {
      processes.forget(toRef(ref), client);
      return {};
    }),
    unary('Renew', v1.RenewRequest, v1.RenewResponse, ({ ref }) => {
      processes.renew(toRef(ref));
      return {};
    }),
    unary('Stats', v1.ProcessStatsRequest, v1.ProcessStatsResponse, async ({ ref }) => {
      const figures = await processes.get(toRef(ref)).figures();
      return { ...figures };
    }),
  ];
}

async function membersOf(entry: ProcessEntry): Promise<berth.v1.ProcessTree.Member.$Properties[]> {
  const pids = (await entry.cgroup?.members()) ?? [];
  return await readStatuses(pids.filter((pid) => pid !== entry.process.identity.pid));
}
