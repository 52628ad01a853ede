// Kata's RPC for figures in Prometheus's format.
import { grpc } from '#proto/kata.js';
import type { GuestMetrics } from '../../guest/metrics/metrics.ts';
import type { Method } from '../../rpc/service.ts';
import { kataMethod } from './method.ts';

export function metricsMethods(metrics: GuestMetrics): Method[] {
  return [kataMethod('GetMetrics', grpc.GetMetricsRequest, grpc.Metrics, async () => ({ metrics: await metrics.read() }))];
}
