// Every bound of the RPC layer, with its reason. Bytes unless the name says otherwise.

const KIB = 1024;
const MIB = 1024 * KIB;

/** ttrpc PROTOCOL.md: the largest body of a frame; gRPC is held to the same, so that an answer fits on both. */
export const MAX_MESSAGE_BYTES = 4 * MIB;

/** Calls waiting on one connection. A pod's shim keeps three long calls per process (wait, two reads) on its one connection. */
export const MAX_CALLS_PER_CONNECTION = 4096;

/** The same over gRPC, where each costs Node some 20 KiB, hence fewer. */
export const MAX_GRPC_CALLS_PER_CONNECTION = 1000;

/** HTTP/2 streams of one gRPC connection: some more, so that a call over the limit is told so, and Check is let in. */
export const MAX_GRPC_STREAMS = 1024;

/** What nghttp2 may hold for one HTTP/2 connection, in MB: headers and frames not yet sent. grpc-js's default is no bound. */
export const MAX_GRPC_SESSION_MB = 32;

/** Request bodies held by waiting calls of one connection. Bodies up to SMALL_REQUEST_BYTES are bounded by the number of calls. */
export const MAX_REQUEST_BYTES_PER_CONNECTION = 32 * MIB;
export const SMALL_REQUEST_BYTES = 4 * KIB;

/** Unsent answers of one connection. Past it we stop reading requests until the client has taken some. */
export const MAX_UNSENT_BYTES = 8 * MIB;

/**
 * Calls that were waiting may still add their answers then; past this, large ones turn into errors, so that a client that has stopped
 * reading does not cost the guest its memory.
 */
export const MAX_UNSENT_BYTES_EVER = 64 * MIB;

/** All connections together; beyond it new ones are closed. A host has a handful; one that is idle costs 1 KiB (ttrpc) or 50 KiB (gRPC). */
export const MAX_CONNECTIONS = 1024;

/** Connections that have not yet said which protocol they speak. A boot-time probe connects and leaves, so a few are normal. */
export const MAX_SILENT_CONNECTIONS = 64;

/** How long a new connection may take to say which protocol it speaks. */
export const SNIFF_TIMEOUT_MS = 5_000;

/**
 * How long a client may pause inside a frame. Long, because Kata's shim never redials: a shim that was stopped for
 * a moment must not lose its pod. What it can hold meanwhile is one message.
 */
export const FRAME_STALL_TIMEOUT_MS = 30_000;

/** Characters of an error text; grpc-message is a header, and clients take 8 KiB of those in all. */
export const MAX_STATUS_TEXT = 2_000;

/** Responses below this are copied behind their header, since one small write is cheaper than a writev of two buffers. */
export const COPY_THRESHOLD_BYTES = 4 * KIB;
