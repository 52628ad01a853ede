// Loads every part that is otherwise loaded when first needed, so that the image build can write V8's code cache for all of
// it (module.flushCompileCache, Node's "Module compile cache"). The agent itself is not started.
import { flushCompileCache } from 'node:module';

export async function warmUp(): Promise<void> {
  await Promise.all([
    import('./agent.ts'),
    import('./config/toml.ts'),
    import('./rpc/grpc/server.ts'),
    import('./api/grpc-methods.ts'),
    import('winston'),
    import('execa'),
  ]);
  flushCompileCache();
}
