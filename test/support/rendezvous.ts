// Two ends of a rendezvous' path without a network: bytes are cut and held back as a test wants it, and all that happens is
// written down. With the crypto of Node behind the port, which is much faster than the one in src and checks it.
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { nodeCrypto } from '../../client/paths/node/crypto.ts'
import { MAX_FRAME } from '../../src/rendezvous/frame.ts'
import { PathKeys, Rendezvous, authenticationKeys } from '../../src/rendezvous/keys.ts'
import { Path } from '../../src/rendezvous/path.ts'
import type { StarError } from '../../src/errors.ts'
import type { RendezvousCrypto } from '../../src/rendezvous/crypto.ts'
import type { Role } from '../../src/rendezvous/keys.ts'
import type { PathEvent, PathOptions, PathOutput } from '../../src/rendezvous/path.ts'

export { nodeCrypto }

export const NOW = 1_000
export const HANDSHAKE = 10_000
export const NOMINATE = 60_000

/** Bytes of hex, with blanks and comments to the end of the line. */
export function hex (text: string): Uint8Array {
  return fromString(text.replaceAll(/#.*$/gm, '').replaceAll(/\s/g, ''), 'base16')
}

export function toHex (bytes: Uint8Array | readonly Uint8Array[]): string {
  return toString(bytes instanceof Uint8Array ? bytes : concat([...bytes]), 'base16')
}

/** So many of the same byte. */
export function times (byte: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(byte)
}

/** The transcript of the fact sheet, and the keys that it comes from: RID nominates. */
export const TRANSCRIPT = {
  ak: times(0xa1, 32),
  pathId: 7,
  rid: { secret: times(0x1e, 32), challenge: times(0x1d, 16) },
  rrd: { secret: times(0x2e, 32), challenge: times(0x2d, 16) },
  ridak: 'c02efb5fd6560f76feba6c86eb380775f367f5621c901ddd132f7a58b13b7b93',
  rrdak: '91d280689bdb806618ec6de666968333929e7f3b9d17b92944f48343d665af33',
  shared: '2822e8c785c7128973acc99e1d493955ff182eaf13b66994a4ec1e3d57c8282f',
  ridtk: '308e8c17c161685e01e8265feba2aa5b7fc24d9b95553a864527461d010a72e4',
  rrdtk: 'b99476313d2dce16d89913f1af67bb6f3d7d557e363455dac062a0f9547c805e',
  rph: '93c2763be81a95c634dc18aa15df929629e2b41fd89c6d5029ed9587e0ff7e7a',
  hello: '4400000020f4ec3a60b665f1390703f330a03640121e0e7f497d6d742ad5113302be9ebd3ed62e2e80bb02760b5ae6630970bcda8824bbd7232' +
    '79080b6b9f229a45e57af9383692d',
  authHello: '56000000352449b11340cafce6121b24403209ae0beb5557808f595aec68bfabf3137b00e53af9c4d232b5b8c6505d64e33f9ad512b0afed' +
    '2c93c0e57803e45153f75d905a85eb01897985106976ca40735c71b8ffdb2ed9a4ba',
  auth: '22000000fdff8f5d9425e2c3afea80564349cc113940728cbd3c7e25bcd8e24e8bf1e69f4a25',
  nominate: '100000007159a83ea62e65869132f567e46f0fa5',
  helloFromRid: '1500000052ad37290da4d7dcd616b8aec4237f3bd9aa3e2d48',
  helloFromRrd: '15000000eaea74582b40bc72d5309edad3b6d6bee92b561417'
} as const

/** The port with a challenge and a secret that are given. */
export function scripted (crypto: RendezvousCrypto, { challenge, secret }: typeof TRANSCRIPT['rid']): RendezvousCrypto {
  return { ...crypto, random: bytes => Uint8Array.from(bytes === 16 ? challenge : secret) }
}

/** What an end has that isn't as usual. */
export interface EndSetup {
  readonly ak?: Uint8Array
  readonly pathId?: number
  readonly crypto?: RendezvousCrypto
  readonly options?: Partial<PathOptions>
  /** The number with which counting begins. */
  readonly number?: number
}

/** One end of a path and its driver. */
export class End {
  readonly machine: Path
  readonly outputs: PathOutput[] = []
  /** What was sent, a frame each. */
  readonly frames: Uint8Array[] = []
  readonly delivered: Uint8Array[] = []
  now = NOW
  #said: Uint8Array[] = []

  constructor (machine: Path) {
    this.machine = machine
  }

  tell (event: PathEvent): readonly PathOutput[] {
    const outputs = this.machine.input(event, this.now)
    for (const output of outputs) {
      this.outputs.push(output)
      if (output.do === 'send') {
        const frame = concat([...output.frame])
        this.frames.push(frame)
        this.#said.push(frame)
      } else if (output.do === 'deliver') {
        this.delivered.push(output.bytes)
      }
    }
    return outputs
  }

  hear (bytes: Uint8Array): readonly PathOutput[] {
    return this.tell({ type: 'bytes', bytes })
  }

  /** What it said since the last time that this was asked. */
  speak (): Uint8Array[] {
    const said = this.#said
    this.#said = []
    return said
  }

  /** All that came out, in order: `send`, `established`, `close 4000 ERR_PATH_PROOF`. */
  get story (): string[] {
    return this.outputs.map(tellOutput)
  }

  /** The last `close`, if there was any. */
  get closed (): { readonly code: number, readonly error?: StarError } | undefined {
    return this.outputs.findLast(output => output.do === 'close')
  }

  get rph (): Uint8Array | undefined {
    return this.outputs.find(output => output.do === 'nominated')?.rph
  }
}

function tellOutput (output: PathOutput): string {
  switch (output.do) {
    case 'close': return ['close', output.code, output.error?.code].filter(Boolean).join(' ')
    case 'lost':
    case 'refused': return [output.do, output.error?.code].filter(Boolean).join(' ')
    case 'send':
    case 'deliver':
    case 'established':
    case 'nominated': return output.do
  }
}

/** An end of a path: of the transcript's keys and id, if nothing else is said. */
export function end (role: Role, nominator: boolean, setup: EndSetup = {}): End {
  const { ak = TRANSCRIPT.ak, pathId = TRANSCRIPT.pathId, crypto = nodeCrypto, options = {}, number } = setup
  const keys = number == null
    ? new Rendezvous(crypto, role, ak).claim(pathId)
    : new PathKeys(crypto, role, pathId, ak, authenticationKeys(ak), number)
  return new End(new Path(keys as PathKeys, {
    nominator, maxFrame: MAX_FRAME, plain: false, handshakeTimeout: HANDSHAKE, nominateTimeout: NOMINATE, ...options
  }))
}

/** Carries what the two say to each other until they have nothing more to say. */
export function converse (one: End, other: End): void {
  for (;;) {
    const [toOther, toOne] = [one.speak(), other.speak()]
    if (toOther.length + toOne.length === 0) {
      return
    }
    toOther.forEach(bytes => other.hear(bytes))
    toOne.forEach(bytes => one.hear(bytes))
  }
}

/** Two ends of an established path. */
export function established (nominator: Role, setup: EndSetup = {}): { readonly rid: End, readonly rrd: End } {
  const rid = end('rid', nominator === 'rid', setup)
  const rrd = end('rrd', nominator === 'rrd', setup)
  rid.tell({ type: 'open' })
  rrd.tell({ type: 'open' })
  converse(rid, rrd)
  return { rid, rrd }
}
