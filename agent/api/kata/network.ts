// Kata's RPCs on the guest's network. Their texts are what Kata's runtimes know (kata-agent.md §3.11, §4.7).
import { google, grpc, types } from '#proto/kata.js';
import { AgentError, isAgentError } from '../../errors.ts';
import type { Network } from '../../guest/network/network.ts';
import { restoreTables, saveTables } from '../../guest/network/tables.ts';
import type { Method } from '../../rpc/service.ts';
import { kataMethod } from './method.ts';
import { fromLink, fromRoute, toNeighbours, toRoutes, toWantedInterface } from './network-messages.ts';

const { Empty } = google.protobuf;

export function networkMethods(network: Network): Method[] {
  return [
    kataMethod('UpdateInterface', grpc.UpdateInterfaceRequest, types.Interface, async (request) => {
      const asked = present(request.interface, 'interface', 'empty update interface request');
      await told('update interface', network.updateInterface(toWantedInterface(asked), asked.devicePath ?? ''));
      return asked;
    }),

    kataMethod('UpdateRoutes', grpc.UpdateRoutesRequest, grpc.Routes, async (request) => {
      const { Routes } = present(request.routes, 'routes', 'empty update routes request');
      await told('Failed to update routes', network.updateRoutes(toRoutes(Routes ?? [])));
      return await listRoutes(network);
    }),

    kataMethod('ListInterfaces', grpc.ListInterfacesRequest, grpc.Interfaces, async () => ({
      Interfaces: (await told('Failed to list interfaces', network.links())).map(fromLink),
    })),

    kataMethod('ListRoutes', grpc.ListRoutesRequest, grpc.Routes, () => listRoutes(network)),

    kataMethod('AddARPNeighbors', grpc.AddARPNeighborsRequest, Empty, async (request) => {
      const { ARPNeighbors } = present(request.neighbors, 'neighbors', 'empty add arp neighbours request');
      await told('Failed to add ARP neighbours', network.addNeighbours(toNeighbours(ARPNeighbors ?? [])));
      return {};
    }),

    kataMethod('GetIPTables', grpc.GetIPTablesRequest, grpc.GetIPTablesResponse, async ({ isIpv6 }) => ({
      data: await saveTables(isIpv6 ? 6 : 4),
    })),

    kataMethod('SetIPTables', grpc.SetIPTablesRequest, grpc.SetIPTablesResponse, async ({ isIpv6, data }) => ({
      data: await restoreTables(isIpv6 ? 6 : 4, data),
    })),
  ];
}

async function listRoutes(network: Network): Promise<grpc.Routes.$Properties> {
  return { Routes: (await told('Failed to list routes', network.routes())).map(fromRoute) };
}

function present<T>(message: T | null | undefined, field: string, text: string): T {
  if (message) return message;
  throw new AgentError('invalid_argument', text, { fields: { field } });
}

/** Says what failed, except of a bad field, which says so itself. */
async function told<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isAgentError(error) || error.code === 'invalid_argument') throw error;
    throw new AgentError(error.code, `${what}: ${error.message}`, { cause: error, fields: error.fields });
  }
}
