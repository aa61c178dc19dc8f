#!/usr/bin/env node
// The command line: reads it, runs the command, and turns wrong usage into exit code 2.
import './tune.ts'
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { addDemo } from './commands/demo.ts'
import { addDemoNode } from './commands/demo-node.ts'
import { addListen } from './commands/listen.ts'
import { addPeers } from './commands/peers.ts'
import { addPing } from './commands/ping.ts'
import { addReceive } from './commands/receive.ts'
import { addRendezvous } from './commands/rendezvous.ts'
import { addSend } from './commands/send.ts'
import { addServer } from './commands/server.ts'
import { Exit, Failure } from './failure.ts'
import { withHelp } from './options.ts'
import { Output } from './output.ts'

const json = process.argv.includes('--json')

const program = new Command('libp2p-star')
  .description('A libp2p transport whose connections start at once through a star server: the server, and nodes to try it with.')
  .version(version())
  .showHelpAfterError('(add --help for help)')
  .configureOutput({ writeErr: text => { if (!json) process.stderr.write(text) } })
  .exitOverride()

addServer(program)
addPeers(program)
addListen(program)
addPing(program)
addSend(program)
addReceive(program)
addRendezvous(program)
addDemo(program)
addDemoNode(program)
withHelp(program, [
  'libp2p-star server                     # in one terminal',
  'libp2p-star receive                    # in another: prints its address',
  'libp2p-star send FILE ADDRESS          # in a third',
  'libp2p-star demo                       # all of it at once'
], `Every command but server, rendezvous and demo takes --star ADDRESS, or STAR in the environment;
--json gives one JSON object a line.
libp2p-star COMMAND --help tells the rest.`)

/** An environment variable that is empty counts as none. */
for (const variable of program.commands.flatMap(command => command.options).flatMap(option => option.envVar ?? [])) {
  if (process.env[variable] === '') {
    delete process.env[variable]
  }
}

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) {
    throw error
  }
  if (error.exitCode !== 0) {
    process.exitCode = Exit.usage
    if (json) {
      const message = error.message.replace(/^error: /, '')
      new Output(true).fail(new Failure('ERR_USAGE', message, { exit: Exit.usage, advice: 'add --help for help' }))
    }
  }
}

function version (): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
