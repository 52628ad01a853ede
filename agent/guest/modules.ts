// Kernel modules that a sandbox asks for.
import { AgentError } from '../errors.ts';
import { runTool } from '../process/tool.ts';

export interface KernelModule {
  readonly name: string;
  /** `key=value`, as modprobe takes them. */
  readonly parameters: readonly string[];
}

/** A driver may look for its hardware for a while. */
const TIMEOUT_MS = 30_000;
/** Of one sandbox. */
const MAX_MODULES = 64;
/** Letters, digits, `_` and `-`: not a path and not an option of modprobe. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/;

/** In their order. @throws invalid_argument; internal with modprobe's complaint */
export async function loadKernelModules(modules: readonly KernelModule[], run: typeof runTool = runTool): Promise<void> {
  if (modules.length > MAX_MODULES) {
    throw new AgentError('resource_exhausted', `more than ${MAX_MODULES} kernel modules`, {
      fields: { limit: 'kernel-modules' },
    });
  }
  modules.forEach(checkModule);
  for (const { name, parameters } of modules) {
    await run('modprobe', ['-v', '--', name, ...parameters], { timeoutMs: TIMEOUT_MS });
  }
}

function checkModule({ name, parameters }: KernelModule, index: number): void {
  const field = `kernel_modules[${index}]`;
  if (!NAME.test(name))
    throw invalid(`${field}.name`, name === '' ? 'is empty' : `${JSON.stringify(name.slice(0, 80))} is no module name`);
  parameters.forEach((parameter, at) => {
    if (parameter.includes('\0')) throw invalid(`${field}.parameters[${at}]`, 'holds a NUL character');
  });
}

function invalid(field: string, problem: string): AgentError {
  return new AgentError('invalid_argument', `${field}: ${problem}`, { fields: { field } });
}
