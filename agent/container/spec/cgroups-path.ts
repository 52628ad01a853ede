// The container's cgroup: an absolute path below the containers' parent, whatever form the client gave.
import { DEFAULT_CGROUP_PARENT } from './context.ts';
import { quote, refuse } from './refusal.ts';

const FIELD = 'linux.cgroupsPath';
/** man 3 limits.h, NAME_MAX. */
const MAX_COMPONENT_BYTES = 255;
/** Kubernetes nests four deep. */
const MAX_COMPONENTS = 16;
/** `slice:prefix:name`, as clients write it for systemd. */
const SYSTEMD_FORM = /^[\w\-.]*:[\w\-.]*:[\w\-.]*$/;

/**
 * `''` is the container's id; `slice:prefix:name` becomes `slice/prefix/name`, with Kata's defaults for what is empty.
 * @throws invalid_argument for a path that would leave the parent or can't be a cgroup's
 */
export function prepareCgroupsPath(path: string | undefined, containerId: string, parent = DEFAULT_CGROUP_PARENT): string {
  const asked = path === undefined || path === '' ? containerId : path;
  const components = split(asked, containerId);
  if (components.length === 0) refuse(FIELD, `${quote(asked)} is the root`);
  if (components.length > MAX_COMPONENTS) refuse(FIELD, `has more than ${MAX_COMPONENTS} components`);
  for (const component of components) checkComponent(component, asked);
  return `${parent === '/' ? '' : parent}/${components.join('/')}`;
}

function split(path: string, containerId: string): string[] {
  if (!SYSTEMD_FORM.test(path)) return path.split('/').filter((component) => component !== '' && component !== '.');
  const [slice, prefix, name] = path.split(':');
  return [slice || 'system.slice', prefix || 'kata_agent', name || containerId];
}

function checkComponent(component: string, path: string): void {
  if (component === '.' || component === '..') refuse(FIELD, `${quote(path)} holds a \`${component}\` component`);
  if (Buffer.byteLength(component) > MAX_COMPONENT_BYTES) refuse(FIELD, `has a component above ${MAX_COMPONENT_BYTES} bytes`);
  // The kernel's own files in every cgroup (cgroup-v2.rst): a directory can't have such a name.
  if (component.startsWith('cgroup.')) refuse(FIELD, `${quote(component)} is the name of a cgroup file`);
  if (/[\n\\]/.test(component)) refuse(FIELD, `${quote(component)} can't name a cgroup`);
}
