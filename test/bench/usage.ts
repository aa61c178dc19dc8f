// What a process has used: CPU time, memory, and bytes on all its TCP connections.
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** A snapshot; differences of two are what a piece of work cost. */
export interface Usage {
  /** CPU time, user and system, milliseconds. */
  cpu: number
  /** Resident set, bytes. */
  rss: number
  /** JavaScript heap in use, bytes. */
  heap: number
  /** Bytes sent on every TCP connection so far. */
  sent: number
}

const open = new Set<Socket>()
let sentByClosed = 0

function follow (message: unknown): void {
  const { socket } = message as { socket: Socket }
  open.add(socket)
  socket.once('close', () => {
    open.delete(socket)
    sentByClosed += socket.bytesWritten
  })
}

subscribe('net.server.socket', follow)
subscribe('net.client.socket', follow)

/** Takes a snapshot; `collect` runs the garbage collector first. */
export function usage (collect: boolean): Usage {
  if (collect) {
    for (let i = 0; i < 3; i++) globalThis.gc?.()
  }
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed } = process.memoryUsage()
  let sent = sentByClosed
  for (const socket of open) sent += socket.bytesWritten
  return { cpu: (user + system) / 1000, rss, heap: heapUsed, sent }
}
