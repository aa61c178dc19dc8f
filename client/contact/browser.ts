// A contact exchange in browsers: there is none, since they have no TCP.
import { StarError } from '../../src/errors.ts'
import type { ExchangeContacts } from './options.ts'

/** Rejects with {@link StarError} `ERR_PLATFORM`. */
export const exchangeContacts: ExchangeContacts = async () => await Promise.reject(new StarError('ERR_PLATFORM'))
