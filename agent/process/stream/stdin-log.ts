// A process's standard input: the mirror of an output log. Offsets count its bytes from the first.

/** `closed`: end of input was asked for; `refused`: the process has closed its end, or is gone. */
export type StdinState = 'open' | 'closed' | 'refused';

export interface StdinLog {
  readonly state: StdinState;
  /** Bytes taken over from writers; they survive the agent. */
  readonly accepted: bigint;
  /** Bytes that the kernel has for the process (in its pipe or terminal). */
  readonly delivered: bigint;
  /**
   * Takes `data`, waiting while too much waits for the process. Resolves with the new `accepted`. With an offset, what lies below
   * `accepted` is a repetition and is dropped.
   * @throws out_of_range, naming the offset wanted, for a hole; failed_precondition after close or when nobody reads any more;
   * resource_exhausted when too many writers wait; the signal's reason: what was accepted till then is told by `accepted`
   */
  write(data: Uint8Array, options?: { offset?: bigint; signal?: AbortSignal }): Promise<bigint>;
  /** End of input after what was accepted, or after `atOffset`. Repeating it is fine. @throws out_of_range when that is not `accepted` */
  close(atOffset?: bigint): void;
  /** Calls back after each change of `state` and `delivered`; returns what ends that. */
  onChange(listener: () => void): () => void;
}
