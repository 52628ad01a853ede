// The names of berth.v1's unary methods, for the table that is built before the methods themselves are loaded.
export const BERTH_UNARY: Readonly<Record<string, readonly string[]>> = {
  'berth.v1.Agent': ['Hello', 'Info', 'SetClock', 'AddEntropy', 'Shutdown', 'SandboxLease'],
  'berth.v1.Processes': ['Start', 'Wait', 'Signal', 'Resize', 'List', 'Inspect', 'Forget', 'Renew', 'Stats'],
  'berth.v1.Containers': ['Create', 'Start', 'List', 'Inspect', 'Delete', 'Pause', 'Resume', 'Update'],
  'berth.v1.Files': ['Stat', 'MakeDirectory', 'Rename', 'Remove'],
};
