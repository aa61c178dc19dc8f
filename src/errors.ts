// Every error thrown on purpose: a stable code, a sentence that says what to do, and what the peer is told.

/** Every reason for a refusal or a failure. The key is stable, the sentence may be reworded. */
export const REASONS = {
  ERR_ADDRESS: 'the address is not a star address: write /dns4/HOST/tcp/PORT/wss/p2p-websocket-star',
  ERR_ARGUMENTS: 'the arguments of the event have the wrong type or are too long',
  ERR_PROOF_REQUIRED: 'this star wants a proof of identity: join with the public key of the peer id in the address',
  ERR_KEY: 'the public key cannot be read or does not belong to the peer id in the address',
  ERR_SIGNATURE: 'the signature does not answer the challenge',
  ERR_CHALLENGE_EXPIRED: 'the challenge was answered too late or never asked: join again',
  ERR_STAR_NAME: 'this star does not go by the name that was dialled: add the name to its --name option',
  ERR_NOT_JOINED: 'the calling address has not joined this star on this socket: join first',
  ERR_PEER_NOT_FOUND: 'the peer is not on this star',
  ERR_DIAL_ID: 'the dial id is empty, too long or in use',
  ERR_DIAL_SELF: 'a peer cannot dial itself',
  ERR_DIAL_REFUSED: 'the peer refused the dial',
  ERR_DIAL_TIMEOUT: 'the peer did not answer the dial in time',
  ERR_TOO_MANY_PEERS: 'this star is full: try another star, or raise its --max-peers',
  ERR_TOO_MANY_ADDRESSES: 'the socket has joined as many addresses as this star allows: leave one first',
  ERR_TOO_MANY_CONNECTIONS: 'too many connections from this network address: wait before connecting again',
  ERR_TOO_MANY_JOINS: 'too many joins from this network address: wait before joining again',
  ERR_TOO_MANY_DIALS: 'too many dials: wait before dialling again',
  ERR_TOO_MANY_IN_FLIGHT: 'too many dials are waiting for an answer: wait for some of them',
  ERR_TOO_MANY_STREAMS: 'the socket has as many streams open as this star allows: close one first',
  ERR_NO_RELAY: 'this star serves no raw relay: use another path, or let it serve one',
  ERR_RELAY_PATH: 'the relay path is announced or in use already: make a new one of 32 random bytes',
  ERR_TOO_MANY_PATHS: 'the socket has announced as many relay paths without a pair as this star allows: wait for some of them',
  ERR_BUDGET: 'the stream sent more than its reader had asked for',
  ERR_STALLED: 'the reader did not read for too long',
  ERR_PEER_GONE: 'the peer has lost its connection to the star',
  ERR_STREAM_RESET: 'the stream was reset by its other end',
  ERR_STREAM_CLOSED: 'the stream is closed',
  ERR_STAR_LOST: 'the connection to the star was lost',
  ERR_STAR_UNREACHABLE: 'the star cannot be reached: is it running, and is the address right?',
  ERR_STAR_TOO_OLD: 'the server speaks an older socket.io and is no libp2p-star server: upgrade the server',
  ERR_STAR_TIMEOUT: 'the star did not answer in time',
  ERR_REPLACED: 'another connection has joined this star with the same identity and proved it',
  ERR_STOPPED: 'the client was stopped',
  ERR_NOT_SPOKEN: 'the peer does not speak the protocol that the dial asks for',
  ERR_LINK_NAME: 'the peer gives itself another name than it was dialled by, or came in with',
  ERR_LINK_CAPABILITY: 'one of the two peers cannot do what the other one wants: update the older one',
  ERR_LINK_SUITE: 'the peers use different digest suites: configure the same for both',
  ERR_LINK_SECRET: 'this star is private: the two peers were not given the same secret',
  ERR_LINK_PROOF: 'the peer could not prove who it is, or that the link is its own',
  ERR_LINK_REFUSED: 'the peer did not allow the link',
  ERR_LINK_EXISTS: 'another link to the same peer stays instead of this one',
  ERR_LINK_TIMEOUT: 'the peer did not answer the link handshake in time',
  ERR_LINK_REPLACED: 'the peer no longer had this link and has made a new one',
  ERR_LINK_UNKNOWN: 'the peer no longer has this link',
  ERR_LINK_LOST: 'no path to the peer came back in time',
  ERR_PEER_RESTARTED: 'the peer was restarted and knows nothing of this link',
  ERR_PATH_DEAD: 'the path was open but carried nothing any more',
  ERR_PATH_PROOF: 'the other end of the path does not hold the key of this rendezvous, or somebody changed what it sent',
  ERR_PATH_TIMEOUT: 'the path was not ready in time',
  ERR_PATH_LOST: 'the path was closed by the other end, or is gone',
  ERR_PATH_STATE: 'the path is not in a state for that: data goes on a nominated path, and one end alone nominates',
  ERR_PATH_EXHAUSTED: 'the path has carried as many frames as its key is good for: make a new one',
  ERR_NOT_DIRECT: 'no direct path to the peer was found in time, and this node wants no other',
  ERR_RENDEZVOUS_INIT: 'this is no invitation to a rendezvous that can be taken: ask for a new one',
  ERR_RENDEZVOUS_FAILED: 'none of the paths to the other device came to anything',
  ERR_ROOM_TAKEN: 'a room with this code is there already: choose another code, or join it',
  ERR_NO_ROOM: 'no room with this code is there: its creator has to come first, or its time is over',
  ERR_ROOM_ROLE: 'somebody else who knows the code of the room has come in the same role',
  ERR_ROOM_TIMEOUT: 'the other peer did not come to the room in time',
  ERR_TOO_MANY_REQUESTS: 'too many requests from this network address: wait a minute',
  ERR_PLATFORM: 'this platform has no TCP sockets: do it in Node',
  ERR_PROTOCOL: 'the other end broke the protocol',
  ERR_OPTIONS: 'an option has a value that makes no sense'
} as const

/** A stable error code. */
export type Reason = keyof typeof REASONS

/** True when `value` is one of the codes above, so that a code from the wire can be trusted to be known. */
export function isReason (value: unknown): value is Reason {
  return typeof value === 'string' && Object.hasOwn(REASONS, value)
}

/** What a {@link StarError} may carry beside its code. */
export interface StarErrorOptions extends ErrorOptions {
  /** One more sentence with the particulars: which option, which address. */
  readonly detail?: string
  /** Milliseconds after which the same call may succeed; absent when waiting does not help. */
  readonly retryAfter?: number
}

/** The one error class of this package. */
export class StarError extends Error {
  override readonly name = 'StarError'
  /** The stable code, a key of {@link REASONS}. */
  readonly code: Reason
  /** Milliseconds after which the same call may succeed; absent when waiting does not help. */
  readonly retryAfter?: number

  constructor (code: Reason, options: StarErrorOptions = {}) {
    const { detail, retryAfter, ...rest } = options
    super(detail == null ? REASONS[code] : `${REASONS[code]} (${detail})`, rest)
    this.code = code
    if (retryAfter != null) {
      this.retryAfter = retryAfter
    }
  }
}
