/** How statuses and step types look: colours for light and dark, and a mark and a word, since colour alone is not enough. */
import type { PictureStatus } from './picture-graph.ts'

/** `line` is the border, at least 3:1 against its fill and the card; `ink` is for words, at least 4.5:1. A test measures both. */
export interface Colours {
  fill: string
  line: string
  ink: string
}
export interface StatusLook {
  word: string
  light: Colours
  dark: Colours
  /** the sign in the badge, as a path in a square of 16 around (0,0) */
  mark: string
  /** whether the badge is filled; hollow ones are for what did not run */
  solid: boolean
  dashed: boolean
}

export const STATUS_LOOK = {
  PENDING: {
    word: 'Pending',
    light: { fill: '#f8fafc', line: '#7c8798', ink: '#56606f' },
    dark: { fill: '#1b2330', line: '#7d8899', ink: '#a3afc0' },
    mark: 'M-3 0h.01M0 0h.01M3 0h.01',
    solid: false,
    dashed: false,
  },
  RUNNING: {
    word: 'Running',
    light: { fill: '#e9f1ff', line: '#1d63d8', ink: '#1a56bd' },
    dark: { fill: '#14284a', line: '#5b9dff', ink: '#8fbcff' },
    mark: 'M-1.8 -3.2L3.2 0L-1.8 3.2Z',
    solid: true,
    dashed: false,
  },
  WAITING: {
    word: 'Waiting',
    light: { fill: '#fff5dc', line: '#a86400', ink: '#8a5200' },
    dark: { fill: '#38290c', line: '#e5a63a', ink: '#f2c069' },
    mark: 'M0 -3.6V0L2.6 1.8',
    solid: true,
    dashed: false,
  },
  SUCCEEDED: {
    word: 'Succeeded',
    light: { fill: '#e4f6ee', line: '#0a7d57', ink: '#086b4a' },
    dark: { fill: '#0d3227', line: '#34b98a', ink: '#6fd6b0' },
    mark: 'M-3.4 .2L-1.1 2.6L3.4 -2.4',
    solid: true,
    dashed: false,
  },
  FAILED: {
    word: 'Failed',
    light: { fill: '#feecea', line: '#c5301f', ink: '#ad2717' },
    dark: { fill: '#431a17', line: '#f4766a', ink: '#ff9d93' },
    mark: 'M-2.7 -2.7L2.7 2.7M2.7 -2.7L-2.7 2.7',
    solid: true,
    dashed: false,
  },
  SKIPPED: {
    word: 'Skipped',
    light: { fill: '#ffffff', line: '#8590a0', ink: '#66707f' },
    dark: { fill: '#161d28', line: '#717d8f', ink: '#94a0b1' },
    mark: 'M-3 -2.8L-.2 0L-3 2.8M.4 -2.8L3.2 0L.4 2.8',
    solid: false,
    dashed: true,
  },
  CANCELED: {
    word: 'Canceled',
    light: { fill: '#f5effb', line: '#7a45b0', ink: '#6b3a9e' },
    dark: { fill: '#2d1e40', line: '#b58ae0', ink: '#cbabf0' },
    mark: 'M-3.2 0H3.2',
    solid: true,
    dashed: true,
  },
} as const satisfies Record<PictureStatus, StatusLook>

/** The card, and what stands on it. `line` is an edge, `taken` one that the execution followed. */
export const SURFACE = {
  light: {
    card: '#ffffff',
    frame: '#dfe4ea',
    node: '#ffffff',
    border: '#7f8b9b',
    text: '#18202c',
    quiet: '#5b6675',
    line: '#818c9c',
    taken: '#27364b',
    faint: '#c3cad4',
    pill: '#eef1f5',
  },
  dark: {
    card: '#111722',
    frame: '#2a3342',
    node: '#1a2230',
    border: '#76839a',
    text: '#eaeff6',
    quiet: '#a2aebf',
    line: '#75829a',
    taken: '#dbe4f0',
    faint: '#3d4859',
    pill: '#273143',
  },
} as const

interface TypeLook {
  light: { fill: string; ink: string }
  dark: { fill: string; ink: string }
  /** lines of an icon in a square of 18 around (0,0) */
  icon: string
}

/** Icons by step type; `PLAIN` is for types that this table does not know. */
export const TYPE_LOOK: Readonly<Record<string, TypeLook>> = {
  transform: {
    light: { fill: '#e8ecfd', ink: '#3a4fc0' },
    dark: { fill: '#242e5c', ink: '#a5b4ff' },
    icon: 'M-2.5 -7C-5 -7 -4 -4 -4 -2.5S-5 0 -6.5 0C-5 0 -4 1 -4 2.5S-5 7 -2.5 7M2.5 -7C5 -7 4 -4 4 -2.5S5 0 6.5 0C5 0 4 1 4 2.5S5 7 2.5 7',
  },
  route: {
    light: { fill: '#f2e8fc', ink: '#7d35b8' },
    dark: { fill: '#3a2352', ink: '#d2a8f7' },
    icon: 'M0 7V2C0 -1 -5 -1 -5 -5M0 2C0 -1 5 -1 5 -5M-7.5 -3L-5 -6L-2.5 -3M2.5 -3L5 -6L7.5 -3',
  },
  agent: {
    light: { fill: '#dcf3f3', ink: '#0b6f77' },
    dark: { fill: '#103b40', ink: '#74d6dc' },
    icon: 'M3 -3.5A3 3 0 1 1 -3 -3.5A3 3 0 1 1 3 -3.5M-6 7C-6 0.5 6 0.5 6 7',
  },
  notify: {
    light: { fill: '#fdeedd', ink: '#9c4f0b' },
    dark: { fill: '#43290f', ink: '#f6b478' },
    icon: 'M-6 3.5C-4 2 -4.5 -1 -4.5 -2.5C-4.5 -8 4.5 -8 4.5 -2.5C4.5 -1 4 2 6 3.5ZM-1.8 6.5C-1 7.6 1 7.6 1.8 6.5',
  },
  wait: {
    light: { fill: '#e9eef4', ink: '#475569' },
    dark: { fill: '#2b3546', ink: '#b7c3d4' },
    icon: 'M7 0A7 7 0 1 1 -7 0A7 7 0 1 1 7 0M0 -4V0L3 2',
  },
  handler: {
    light: { fill: '#e3f2e6', ink: '#226f38' },
    dark: { fill: '#16391f', ink: '#86d69a' },
    icon: 'M-3.5 -4.5L-7.5 0L-3.5 4.5M3.5 -4.5L7.5 0L3.5 4.5M1.3 -6L-1.3 6',
  },
  fail: {
    light: { fill: '#fde8e6', ink: '#b32a1a' },
    dark: { fill: '#451b17', ink: '#ff9c91' },
    icon: 'M-3 -7H3L7 -3V3L3 7H-3L-7 3V-3ZM0 -3.5V.8M0 3.6V3.7',
  },
}
export const PLAIN: TypeLook = {
  light: { fill: '#e9eef4', ink: '#475569' },
  dark: { fill: '#2b3546', ink: '#b7c3d4' },
  icon: 'M-5 -5H5V5H-5Z',
}
