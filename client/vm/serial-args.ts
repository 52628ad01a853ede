// QEMU's part in a serial way to the agent: a Unix socket on the host, a virtio-serial port or a UART in the guest.
import { DEFAULT_PORT } from '../../agent/transport/serial/port-name.ts';

/** @param bus where the controller goes, on a machine that has places for devices */
export function serialPortDevice(socket: string, suffix: string, bus: { bus?: string }): string[] {
  const port = { driver: 'virtserialport', bus: 'agent-serial.0', chardev: 'agent-serial', name: DEFAULT_PORT };
  return [
    ...chardev('agent-serial', socket),
    '-device',
    JSON.stringify({ driver: `virtio-serial-${suffix}`, id: 'agent-serial', ...bus }),
    '-device',
    JSON.stringify(port),
  ];
}

/** The guest's ttyS1; ttyS0 is the console's. */
export function uartDevice(socket: string): string[] {
  return [...chardev('agent-uart', socket), '-device', JSON.stringify({ driver: 'isa-serial', chardev: 'agent-uart', index: 1 })];
}

/** QEMU listens from its start, and takes one connection at a time. */
function chardev(id: string, socket: string): string[] {
  return ['-chardev', `socket,id=${id},path=${escapeCommas(socket)},server=on,wait=off`];
}

/** In QEMU's key=value options a comma is written twice. */
export function escapeCommas(value: string): string {
  return value.replaceAll(',', ',,');
}
