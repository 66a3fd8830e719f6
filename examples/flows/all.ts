/** The flows that a development server loads at its start. */
import type { Definition } from '../../src/language/definition.ts'
import { featureApproval } from './feature-approval.ts'

export const exampleFlows: readonly Definition[] = [featureApproval]
