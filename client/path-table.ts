// The paths between two peers, by the numbers that a pair knows them by; also the last ones that are gone, for what is told of
// those may come later.
import { StarError } from '../src/errors.ts'
import type { PairEvent } from '../src/link/pair.ts'
import type { Path } from './paths/path.ts'
import type { PathRecord } from './peer-contract.ts'

/** So many paths that are gone are remembered. */
const MAX_GONE = 8

/** All paths of one peer. */
export class PathTable {
  readonly #paths = new Map<number, PathRecord>()
  readonly #gone = new Map<number, Path>()
  readonly #tell: (event: PairEvent) => void
  readonly #onRoom: (path: number) => void
  #next = 0

  /** `tell` takes what happens to a path; `onRoom` is called when one takes more again. */
  constructor (tell: (event: PairEvent) => void, onRoom: (path: number) => void) {
    this.#tell = tell
    this.#onRoom = onRoom
  }

  /** How many there are. */
  get size (): number {
    return this.#paths.size
  }

  /** Takes a path in and returns its number. */
  enter (record: PathRecord): number {
    const id = this.#next++
    this.#paths.set(id, record)
    record.path.own({
      onBytes: (chunk, bare) => { this.#tell({ type: 'bytes', path: id, chunk, bare }) },
      onRoom: () => { this.#onRoom(id) },
      onGone: error => {
        this.#paths.delete(id)
        this.#remember(id, record.path)
        this.#tell({ type: 'lost', path: id, error })
      }
    })
    return id
  }

  /** One that is there. */
  get (id: number | undefined): PathRecord | undefined {
    return id == null ? undefined : this.#paths.get(id)
  }

  /** One that is or was there. */
  find (id: number | undefined): Path | undefined {
    return id == null ? undefined : this.#paths.get(id)?.path ?? this.#gone.get(id)
  }

  /** Sends what a pair itself says. It is little: a path that does not take it is broken off. */
  send (id: number, bytes: Uint8Array): void {
    const path = this.#paths.get(id)?.path
    if (path == null) {
      return
    }
    if (bytes.byteLength > path.budget) {
      path.lose(new StarError('ERR_BUDGET'))
    } else {
      path.send([bytes])
    }
  }

  /** Closes one and returns what it was. */
  close (id: number): PathRecord | undefined {
    const record = this.#paths.get(id)
    this.#paths.delete(id)
    record?.path.close()
    return record
  }

  /** Closes all of them. */
  clear (): void {
    this.#paths.forEach(({ path }) => { path.close() })
    this.#paths.clear()
  }

  #remember (id: number, path: Path): void {
    const [oldest] = this.#gone.keys()
    if (oldest != null && this.#gone.size >= MAX_GONE) {
      this.#gone.delete(oldest)
    }
    this.#gone.set(id, path)
  }
}
