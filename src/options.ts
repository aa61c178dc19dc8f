// The check that all options pass: of the type of their default, and numbers whole and large enough.
import { StarError } from './errors.ts'

/**
 * Throws {@link StarError} `ERR_OPTIONS` for an option that has another type than its default, and for a number that isn't
 * whole or is less than its entry in `least`, or than `leastOtherwise` where it has none.
 */
export function checkOptions (
  resolved: object, defaults: object, least: Readonly<Record<string, number | undefined>>, leastOtherwise: number
): void {
  for (const [name, fallback] of Object.entries(defaults)) {
    const value: unknown = Reflect.get(resolved, name)
    if (typeof value !== typeof fallback) {
      throw new StarError('ERR_OPTIONS', { detail: `${name} must be a ${typeof fallback}` })
    }
    const smallest = least[name] ?? leastOtherwise
    if (typeof value === 'number' && (!Number.isSafeInteger(value) || value < smallest)) {
      throw new StarError('ERR_OPTIONS', { detail: `${name} must be a whole number of at least ${smallest}` })
    }
  }
}
