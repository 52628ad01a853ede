// What the messages of berth.v1 ask for, by message class.
import { berth } from '#proto/berth.js';
import { capabilityName } from '../../container/spec/names.ts';
import { specFacts } from './spec-facts.ts';
import { type Visitor, visitor } from './visitor.ts';

const { v1 } = berth;

export const berthVisitors: Visitor[] = [
  visitor(v1.CreateContainerRequest, ({ id, specJson }, field, add, container) => {
    container(id);
    specFacts(specJson, field('spec_json'), add);
  }),
  ...[
    v1.StartContainerRequest,
    v1.InspectContainerRequest,
    v1.DeleteContainerRequest,
    v1.PauseRequest,
    v1.ResumeRequest,
    v1.UpdateContainerRequest,
    v1.ContainerStatsRequest,
  ].map((request) => visitor<{ id: string }>(request, ({ id }, _field, _add, container) => container(id))),
  visitor(v1.WatchEventsRequest, ({ containerIds }, _field, _add, container) => containerIds.forEach(container)),
  visitor(v1.Program, (program, field, add) => {
    add('uid', field('user.uid'), program.user?.uid ?? 0);
    add('gid', field('user.gid'), program.user?.gid ?? 0);
    for (const [at, gid] of program.user?.additionalGids?.entries() ?? []) {
      add('additional_gids', field(`user.additional_gids[${at}]`), gid);
    }
    add('args', field('args'), program.args);
    for (const [at, entry] of program.env.entries()) add('env', field(`env[${at}]`), entry);
    add('cwd', field('cwd'), program.cwd);
    add('terminal', field('terminal'), program.terminal);
    add('no_new_privileges', field('no_new_privileges'), program.noNewPrivileges);
    for (const [at, name] of program.capabilities?.names?.entries() ?? []) {
      add('capabilities', field(`capabilities.names[${at}]`), capabilityName(name) ?? name);
    }
  }),
  // An abstract name is no path.
  visitor(v1.TunnelRequest.UnixSocket, ({ path }, field, add) => {
    if (!path.startsWith('@')) add('paths', field('path'), path);
  }),
  // In every request that names a file, wherever it stands.
  visitor(v1.FilePath, ({ path }, field, add) => add('paths', field('path'), path)),
  visitor(v1.RenameRequest, ({ to }, field, add) => add('paths', field('to'), to)),
  visitor(v1.Storage, ({ driver, source, filesystem, options, mountPoint }, field, add) => {
    add('storages', field(''), { driver, source, fstype: filesystem, options, mount_point: mountPoint });
  }),
];
