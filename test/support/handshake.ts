// Two ends of a link handshake without a network: what each does is written down, signatures are make-believe.
import { createHash } from 'node:crypto'
import { fromString } from 'uint8arrays/from-string'
import { isEqual } from '../../src/link/digest.ts'
import { Acceptor, Dialler } from '../../src/link/handshake.ts'
import { Capability, decodeMessage, encodeMessage } from '../../src/link/wire.ts'
import { Random } from './random.ts'
import type { Reason, StarError } from '../../src/errors.ts'
import type { SuiteName } from '../../src/link/digest.ts'
import type {
  Decide, HandshakeEvent, HandshakeOptions, HandshakeOutput, HandshakePorts, Outcome
} from '../../src/link/handshake.ts'
import type { AuthenticationMessage, NodeFlags } from '../../src/link/wire.ts'

/** When everything begins, in milliseconds. */
export const NOW = 1_000
export const STEP = 5_000
export const TOTAL = 12_000
/** The id of the attempts of {@link dialler}. */
export const ATTEMPT = 77n

/** What an end has that isn't as usual. */
export interface Setup {
  readonly name?: string
  /** The other's name; `null` for any. */
  readonly peer?: string | null
  readonly capabilities?: number
  readonly required?: number
  readonly suite?: SuiteName
  /** The secret of a private star; the capabilities follow from it unless they are given. */
  readonly secret?: string
  /** The secret of the link that is resumed. */
  readonly linkSecret?: string
  /** In place of what follows from all that. */
  readonly flags?: NodeFlags
  readonly publicKey?: Uint8Array
  readonly incarnation?: bigint
  readonly outstanding?: Set<number>
  readonly seed?: number
  readonly random?: HandshakePorts['random']
  /** Whose signatures it makes: its own. */
  readonly signsAs?: string
}

/** The public key that goes with a name. */
export function keyOf (name: string): Uint8Array {
  return fromString(`the public key of ${name}`)
}

/** What only the owner of a name can make. */
export function signatureOf (name: string, message: Uint8Array): Uint8Array {
  return Uint8Array.from(createHash('sha256').update(`the private key of ${name}`).update(message).digest())
}

function optionsOf (name: string, peer: string, setup: Setup): HandshakeOptions {
  const { suite = 'hmac-sha256', secret = '' } = setup
  const usual = Capability.session | (secret === '' ? 0 : Capability.secret) | (suite === 'hmac-sha256' ? Capability.identity : 0)
  const { capabilities = usual, required = usual } = setup
  const own = setup.name ?? name
  return {
    name: own,
    ...(setup.peer === null ? {} : { peer: setup.peer ?? peer }),
    flags: setup.flags ?? { version: 1, capabilities, required, suite, window: 65_536 },
    suite,
    connectionString: `/memory/${own}`,
    publicKey: setup.publicKey ?? (suite === 'hmac-sha256' ? keyOf(own) : new Uint8Array()),
    incarnation: setup.incarnation ?? BigInt(name.length),
    stepTimeout: STEP,
    totalTimeout: TOTAL
  }
}

function portsOf (seed: number, setup: Setup): HandshakePorts {
  const { secret = '', linkSecret = '', outstanding = new Set() } = setup
  const generator = new Random(seed)
  return {
    random: setup.random ?? (bytes => generator.bytes(bytes)),
    secret: resumed => fromString(resumed === 0n ? secret : `${secret}/${linkSecret}`),
    outstanding
  }
}

/** One end and its driver. */
export class End {
  readonly machine: Acceptor | Dialler
  /** All that came out, in order: `name` for a message, `sign` for an output, `over ERR_…` for an end. */
  readonly story: string[] = []
  readonly sent: Uint8Array[] = []
  readonly outputs: HandshakeOutput[] = []
  /** The link for which a proved dialler is refused. */
  refuses: bigint | undefined
  /** False to leave questions open. */
  answers = true
  now = NOW
  readonly #signsAs: string
  #said: Uint8Array[] = []

  constructor (machine: Acceptor | Dialler, { signsAs = machine.options.name }: Setup = {}) {
    this.machine = machine
    this.#signsAs = signsAs
  }

  /** What it said since the last time that this was asked. */
  speak (): Uint8Array[] {
    const said = this.#said
    this.#said = []
    return said
  }

  hear (bytes: Uint8Array): void {
    this.tell({ type: 'message', bytes })
  }

  tell (event: HandshakeEvent): readonly HandshakeOutput[] {
    const outputs = this.machine.input(event, this.now)
    const answers: HandshakeEvent[] = []
    for (const output of outputs) {
      this.outputs.push(output)
      this.story.push(spell(output))
      if (output.do === 'send') {
        this.sent.push(output.bytes)
        this.#said.push(output.bytes)
      }
      const answer = this.answer(output)
      if (answer != null && this.answers) {
        answers.push(answer)
      }
    }
    answers.forEach(answer => this.tell(answer))
    return outputs
  }

  /** Lets time pass, and wakes the machine where it wants to be woken. */
  pass (milliseconds: number): void {
    const end = this.now + milliseconds
    for (let at = this.machine.wakeAt; at != null && at <= end; at = this.machine.wakeAt) {
      this.now = at
      this.tell({ type: 'wake' })
    }
    this.now = end
  }

  /** What the driver says to an output that asks. */
  answer (output: HandshakeOutput): HandshakeEvent | undefined {
    if (output.do === 'sign') {
      return { type: 'signed', signature: signatureOf(this.#signsAs, output.message) }
    }
    if (output.do === 'verify') {
      const { peer, publicKey, signature, message } = output
      return { type: 'verified', valid: isEqual(publicKey, keyOf(peer)) && isEqual(signature, signatureOf(peer, message)) }
    }
    if (output.do === 'proved' && this.machine instanceof Acceptor) {
      return this.refuses == null ? { type: 'admit' } : { type: 'refuse', link: this.refuses }
    }
    return undefined
  }

  /** The error that it ended with; `undefined` when it didn't. */
  get error (): StarError | undefined {
    return this.outputs.find(output => output.do === 'over')?.error
  }

  /** The code of that error. */
  get code (): Reason | undefined {
    return this.error?.code
  }

  /** The link that stays, it says. */
  get stays (): bigint | undefined {
    return this.outputs.find(output => output.do === 'over')?.link
  }

  /** What came of it for this end; for an acceptor, once its ack is out. */
  get outcome (): Outcome | undefined {
    const last = this.machine instanceof Acceptor ? 'up' : 'proved'
    return this.outputs.flatMap(output => output.do === last && 'outcome' in output ? [output.outcome] : [])[0]
  }

  /** Whether it believes that the other end is who it says. */
  get proved (): boolean {
    return this.outputs.some(output => output.do === 'proved')
  }
}

function spell (output: HandshakeOutput): string {
  if (output.do === 'send') {
    const message = decodeMessage(output.bytes)
    return message.type === 'server_status' ? message.value.status
      : message.type === 'client_status' ? String(message.value.status) : message.type
  }
  return output.do === 'over' ? `over ${output.error.code}` : output.do
}

/** What a dialler may have beside. */
export interface DiallerSetup extends Setup {
  readonly resume?: bigint
  readonly holds?: (link: bigint) => boolean
  readonly connectionId?: bigint
}

/** `a`, who dials `b`. */
export function dialler (setup: DiallerSetup = {}): End {
  const { resume = 0n, holds = () => false, connectionId = ATTEMPT, seed = 1 } = setup
  return new End(new Dialler(optionsOf('a', 'b', setup), portsOf(seed, setup), { connectionId, resume, holds }), setup)
}

/** What an acceptor may have beside. */
export interface AcceptorSetup extends Setup {
  readonly decide?: Decide
  readonly eager?: boolean
}

/** `b`, whom `a` dials. */
export function acceptor (setup: AcceptorSetup = {}): End {
  const { decide = () => ({ status: 'ok' }), eager = true, seed = 2 } = setup
  return new End(new Acceptor(optionsOf('b', 'a', setup), portsOf(seed, setup), { decide, eager }), setup)
}

/** A message on its way. */
export interface Said {
  readonly from: 'dialler' | 'acceptor'
  /** All that is said in one turn is one flight; the name is the first. */
  readonly flight: number
  readonly bytes: Uint8Array
}

/** What arrives in place of what was said. */
export type Path = (said: Said, message: AuthenticationMessage) => Uint8Array[]

/** A path that makes something else of each message of a type. */
export function altering<Type extends AuthenticationMessage['type']> (
  type: Type, alter: (value: ValueOf<Type>) => ValueOf<Type>
): Path {
  return ({ bytes }, message) => message.type === type
    ? [encodeMessage({ type, value: alter(message.value as ValueOf<Type>) } as AuthenticationMessage)]
    : [bytes]
}

type ValueOf<Type extends AuthenticationMessage['type']> = (AuthenticationMessage & { type: Type })['value']

/** Lets the two talk until both are silent; returns all that was said. */
export function converse (one: End, other: End, path: Path = said => [said.bytes]): Said[] {
  const all: Said[] = []
  other.tell({ type: 'start' })
  one.tell({ type: 'start' })
  for (let flight = 1, silent = 0; silent < 2; flight++) {
    const [from, to, speaker] = flight % 2 === 1 ? ['dialler', other, one] as const : ['acceptor', one, other] as const
    const said = speaker.speak().map(bytes => ({ from, flight, bytes }))
    all.push(...said)
    silent = said.length === 0 ? silent + 1 : 0
    said.flatMap(each => path(each, decodeMessage(each.bytes))).forEach(bytes => { to.hear(bytes) })
  }
  return all
}
