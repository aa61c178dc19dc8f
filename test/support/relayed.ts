// A relay with two clients, frames spelled short: for tests that say what goes in and what must come out.
import { Relay } from '../../src/pull-stream/relay.ts'
import { eventName } from '../../src/pull-stream/protocol.ts'
import type { Kind, Side } from '../../src/pull-stream/protocol.ts'
import type { RelayOptions, RelayOutput } from '../../src/pull-stream/relay.ts'

/** Small bounds. */
export const bounds: RelayOptions = { pairBudget: 200_000, stallTimeout: 20_000, streamsPerSocket: 8, streamsPerPair: 4 }

/** A relay between `a` and `b`, and whoever else is opened to. */
export class Relayed {
  readonly relay: Relay
  now = 0

  constructor (changed: Partial<RelayOptions> = {}) {
    this.relay = new Relay({ ...bounds, ...changed })
  }

  /** Opens a stream from `a` to `b`; `oo` means that both are originals, `ss` that none is. */
  open (generations: string, id: string = 'id', dialer: string = 'a', listener: string = 'b'): string | undefined {
    return this.relay.open(
      id, { socket: dialer, original: generations[0] === 'o' }, { socket: listener, original: generations[1] === 'o' }
    )
  }

  frame (socket: string, kind: Kind, side: Side, payload?: unknown, id: string = 'id'): readonly RelayOutput[] {
    return this.relay.input({ type: 'frame', socket, name: eventName(kind, id, side), payload }, this.now)
  }

  disconnect (socket: string): readonly RelayOutput[] {
    return this.relay.input({ type: 'disconnect', socket }, this.now)
  }

  wake (): readonly RelayOutput[] {
    return this.relay.input({ type: 'wake' }, this.now)
  }

  /** Says of every chunk among the outputs that it has left the process. */
  flush (outputs: readonly RelayOutput[]): readonly RelayOutput[] {
    return outputs.flatMap(output => output.do === 'emit' && output.half != null && output.payload instanceof Uint8Array
      ? this.relay.input({ type: 'flushed', half: output.half, bytes: output.payload.byteLength }, this.now)
      : [])
  }
}

/** Outputs in short: `b queue.dialer 10`, `pause a`, `broken ERR_STALLED`. */
export function short (outputs: readonly RelayOutput[]): string[] {
  return outputs.map(output => {
    switch (output.do) {
      case 'emit': {
        const { socket, kind, side, payload } = output
        const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
        const said = payload instanceof Uint8Array ? payload.length : text
        return `${socket} ${kind}.${side} ${said ?? ''}`.trimEnd()
      }
      case 'broken':
        return `broken ${output.reason}`
      case 'pause':
      case 'resume':
        return `${output.do} ${output.socket}`
    }
  })
}
