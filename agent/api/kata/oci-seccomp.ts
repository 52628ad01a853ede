// grpc.LinuxSeccomp -> SeccompSpec.
import type { grpc } from '#proto/kata.js';
import {
  SECCOMP_ACTIONS,
  SECCOMP_ARCHITECTURES,
  SECCOMP_FLAGS,
  SECCOMP_OPERATORS,
  type SeccompArg,
  type SeccompRule,
  type SeccompSpec,
} from '../../container/spec/seccomp.ts';
import { list, optionalList, smallInt, texts, word } from './oci-field.ts';

/** A system call has six arguments (man 2 syscall). */
const MAX_ARG_INDEX = 5;

/** @throws invalid_argument naming the field */
export function toSeccomp(seccomp: grpc.LinuxSeccomp.$Shape, field: string): SeccompSpec {
  return {
    defaultAction: word(seccomp.DefaultAction, SECCOMP_ACTIONS, `${field}.DefaultAction`, 'seccomp action'),
    architectures: optionalList(seccomp.Architectures, `${field}.Architectures`, (name, at) =>
      word(name, SECCOMP_ARCHITECTURES, at, 'seccomp architecture'),
    ),
    flags: optionalList(seccomp.Flags, `${field}.Flags`, (name, at) => word(name, SECCOMP_FLAGS, at, 'seccomp flag')),
    syscalls: optionalList(seccomp.Syscalls, `${field}.Syscalls`, toRule),
  };
}

function toRule(rule: grpc.LinuxSyscall.$Shape, field: string): SeccompRule {
  return {
    names: texts(rule.Names, `${field}.Names`),
    action: word(rule.Action, SECCOMP_ACTIONS, `${field}.Action`, 'seccomp action'),
    // A oneof, so unlike other numbers an explicit 0 can be told from absent.
    errnoRet: rule.errnoret ?? undefined,
    args: rule.Args?.length ? list(rule.Args, `${field}.Args`, toArg) : undefined,
  };
}

function toArg(arg: grpc.LinuxSeccompArg.$Shape, field: string): SeccompArg {
  return {
    index: smallInt(arg.Index, `${field}.Index`, 0, MAX_ARG_INDEX),
    value: arg.Value ?? 0n,
    valueTwo: arg.ValueTwo ?? 0n,
    op: word(arg.Op, SECCOMP_OPERATORS, `${field}.Op`, 'seccomp operator'),
  };
}
