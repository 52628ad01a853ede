// What Kata's messages ask for, by message class.
import { posix } from 'node:path';
import { grpc } from '#proto/kata.js';
import { capabilityName } from '../../container/spec/names.ts';
import { CAPABILITY_FIELDS, IMAGE_ANNOTATIONS, SHARED_UNLESS_LISTED, visitor } from './visitor.ts';

export const kataVisitors = [
  visitor(grpc.Process, (process, field, add) => {
    add('uid', field('User.UID'), process.User?.UID ?? 0);
    add('gid', field('User.GID'), process.User?.GID ?? 0);
    for (const [at, gid] of process.User?.AdditionalGids?.entries() ?? []) {
      add('additional_gids', field(`User.AdditionalGids[${at}]`), gid);
    }
    add('args', field('Args'), process.Args);
    for (const [at, entry] of process.Env.entries()) add('env', field(`Env[${at}]`), entry);
    add('cwd', field('Cwd'), process.Cwd);
    add('terminal', field('Terminal'), process.Terminal);
    add('no_new_privileges', field('NoNewPrivileges'), process.NoNewPrivileges);
    for (const set of CAPABILITY_FIELDS) {
      for (const [at, name] of process.Capabilities?.[set]?.entries() ?? []) {
        add('capabilities', field(`Capabilities.${set}[${at}]`), capabilityName(name) ?? name);
      }
    }
  }),
  visitor(grpc.Spec, ({ Linux, Annotations }, field, add) => {
    const listed = new Set(Linux?.Namespaces?.map(({ Type }) => Type));
    for (const type of SHARED_UNLESS_LISTED) if (!listed.has(type)) add('guest_namespaces', field('Linux.Namespaces'), type);
    add('seccomp', field('Linux.Seccomp'), Linux?.Seccomp != null);
    for (const name of IMAGE_ANNOTATIONS) {
      if (Annotations[name] !== undefined) add('images', field(`Annotations[${name}]`), Annotations[name]);
    }
  }),
  visitor(grpc.Linux, ({ Sysctl }, field, add) => {
    for (const [name, value] of Object.entries(Sysctl)) add('sysctls', field(`Sysctl[${name}]`), `${name}=${value}`);
  }),
  visitor(grpc.LinuxNamespace, ({ Type, Path }, field, add) => {
    if (Path !== '') add('namespace_paths', field('Path'), `${Type}:${Path}`);
  }),
  visitor(grpc.Root, ({ Path, Readonly }, field, add) => {
    add('rootfs', field('Path'), Path);
    add('readonly_rootfs', field('Readonly'), Readonly);
  }),
  visitor(grpc.Hook, ({ Path }, field, add) => add('hooks', field('Path'), Path)),
  visitor(grpc.Mount, ({ destination, source, type, options }, field, add) => {
    // config.md: a relative destination counts from the container's root.
    add('mounts', field(''), { destination: posix.resolve('/', destination), source, type, options });
  }),
  visitor(grpc.Storage, ({ driver, source, fstype, options, mountPoint }, field, add) => {
    add('storages', field(''), { driver, source, fstype, options, mount_point: mountPoint });
  }),
  visitor(grpc.Device, ({ id, type, vmPath, containerPath }, field, add) => {
    add('devices', field(''), { id, type, vm_path: vmPath, container_path: containerPath });
  }),
  visitor(grpc.LinuxDevice, ({ Path, Type, Major, Minor }, field, add) => {
    add('devices', field(''), { id: `${Major}:${Minor}`, type: Type, vm_path: '', container_path: Path });
  }),
  visitor(grpc.LinuxDeviceCgroup, ({ Allow, Type, Major, Minor, Access }, field, add) => {
    // Only what is allowed widens a container's reach. On the wire 0 and -1 are any number, and no type is every type.
    const number = (value: bigint) => (value > 0n ? String(value) : '*');
    if (Allow) add('device_rules', field(''), `${Type || 'a'} ${number(Major)}:${number(Minor)} ${Access || 'rwm'}`);
  }),
  visitor(grpc.KernelModule, ({ name }, field, add) => add('kernel_modules', field('name'), name)),
  visitor(grpc.CopyFileRequest, ({ path }, field, add) => add('paths', field('path'), path)),
  visitor(grpc.AddSwapPathRequest, ({ path }, field, add) => add('paths', field('path'), path)),
  visitor(grpc.VolumeStatsRequest, ({ volumeGuestPath }, field, add) =>
    add('paths', field('volume_guest_path'), volumeGuestPath),
  ),
  visitor(grpc.ResizeVolumeRequest, ({ volumeGuestPath }, field, add) =>
    add('paths', field('volume_guest_path'), volumeGuestPath),
  ),
];
