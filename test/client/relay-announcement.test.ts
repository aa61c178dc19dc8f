// How a member of a star announces a path of its raw relay.
import assert from 'node:assert/strict'
import { resolve } from '../../client/options.ts'
import { Member } from '../../client/star.ts'
import { createTestStar } from '../../server/testing.ts'
import { parseStarAddress } from '../../src/address.ts'
import { makeIdentity } from '../support/raw.ts'
import { RelaySocket, newPath } from '../support/relay-socket.ts'
import type { TestStar } from '../../server/testing.ts'

describe('A member that announces a relay path', () => {
  let star: TestStar
  let member: Member

  async function join (options: { relay?: boolean } = {}): Promise<void> {
    star = await createTestStar(options)
    const address = parseStarAddress(star.address)
    assert.ok(address)
    const { id, privateKey } = await makeIdentity()
    member = new Member({ star: address, privateKey, self: id, options: resolve({ timeout: 2_000 }) })
    await member.whenJoined()
  }

  afterEach(async () => {
    member.stop()
    await star.close()
  })

  it('may enter it then, with somebody else', async () => {
    await join()
    const path = newPath()
    await member.announceRelay(path)
    const [first, second] = [new RelaySocket(star.server.url, path), new RelaySocket(star.server.url, path)]
    await Promise.all([first.open(), second.open()])
    first.say('hello')
    await second.reads(5)
    first.ws.close(1000)
    assert.equal(await second.closed(), 1000)
    await assert.rejects(member.announceRelay('no path'), { name: 'StarError', code: 'ERR_ARGUMENTS' })
  })

  it('is told when there is no relay', async () => {
    await join({ relay: false })
    await assert.rejects(member.announceRelay(newPath()), { name: 'StarError', code: 'ERR_NO_RELAY' })
  })

  it('is told when it has lost its star, before or meanwhile', async () => {
    await join()
    const late = member.announceRelay(newPath())
    member.stop()
    await assert.rejects(late, { code: 'ERR_STAR_LOST' })
    await assert.rejects(member.announceRelay(newPath()), { code: 'ERR_STAR_LOST' })
  })
})
