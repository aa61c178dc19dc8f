// What the compliance suites expect of `aegir/chai`: chai 4 with five plugins, in this order.
import * as chai from 'chai'
import chaiAsPromised from 'chai-as-promised'
import chaiBites from 'chai-bites'
import chaiParentheses from 'chai-parentheses'
import chaiString from 'chai-string'
import subset from 'chai-subset'

for (const plugin of [chaiAsPromised, chaiParentheses, subset, chaiBites, chaiString]) {
  chai.use(plugin)
}

export const expect = chai.expect
export const assert = chai.assert
export { chai }
