// Loads every part that is otherwise loaded when first needed, so that the image build can write V8's code cache for all of
// it (module.flushCompileCache, Node's "Module compile cache"). The agent itself is not started.
import { flushCompileCache } from 'node:module';

export async function warmUp(): Promise<void> {
  await Promise.all([
    import('./agent.ts'),
    import('./config/toml.ts'),
    import('./diagnostics.ts'),
    import('./log-port.ts'),
    import('./console/debug-console.ts'),
    import('./console/serial-console.ts'),
    import('./trace/span-exporter.ts'),
    import('./trace/tracer.ts'),
    import('./rpc/grpc/server.ts'),
    import('./api/grpc-methods.ts'),
    import('./policy/load.ts'),
    import('./api/admission/admission.ts'),
    import('./api/berth/berth-methods.ts'),
    import('winston'),
    import('execa'),
  ]);
  flushCompileCache();
}
