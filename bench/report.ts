/** From rounds to a table that people can read, and to numbers for a file. */
import type { Shape, SystemName } from './shapes.ts'
import type { Counters } from './server.ts'
import type { Round } from './system.ts'

/** One round with what PostgreSQL did meanwhile. */
export interface Measured extends Round {
  server: Counters
}

export interface Result {
  /** medians over the rounds */
  perSecond: number
  p50Ms: number
  p99Ms: number
  /** totals over the rounds, for each execution */
  rows: number
  commits: number
  walBytes: number
  nodeCpuMs: number
  serverCpuMs: number
  /** share of the updates of `executions` that touched no index; undefined where there is no such table */
  hot: number | undefined
  /** of each round, to see how far they lie apart */
  rounds: number[]
}

export type Results = Record<string, Partial<Record<SystemName, Result>>>

export function summarise(measured: readonly Measured[]): Result {
  const executions = sum(measured.map((round) => round.executions))
  const each = (pick: (round: Measured) => number): number => sum(measured.map(pick)) / executions
  const updates = sum(measured.map(({ server }) => server.executionUpdates))
  const rounds = measured.map((round) => (round.executions / round.elapsedMs) * 1000)
  return {
    perSecond: median(rounds),
    p50Ms: median(measured.map(({ latenciesMs }) => quantile(latenciesMs, 0.5))),
    p99Ms: median(measured.map(({ latenciesMs }) => quantile(latenciesMs, 0.99))),
    rows: each(({ server }) => server.rows),
    commits: each(({ server }) => server.commits),
    walBytes: each(({ server }) => server.walBytes),
    nodeCpuMs: each((round) => round.nodeCpuMs),
    serverCpuMs: each(({ server }) => server.cpuMs),
    hot: updates === 0 ? undefined : sum(measured.map(({ server }) => server.executionHotUpdates)) / updates,
    rounds,
  }
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** 0 of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** The first table: how fast, next to the peer and to the ceiling, against the targets. */
export function speedTable(shapes: readonly Shape[], results: Results): string {
  const rows = shapes.map((shape) => {
    const { sluice, dbos, ceiling } = results[shape.name]!
    const alone = shape.callers === 1
    const show = (result: Result | undefined): string => {
      if (!result) return '-'
      return alone ? `${result.p50Ms.toFixed(1)} / ${result.p99Ms.toFixed(1)} ms` : `${result.perSecond.toFixed(0)}/s`
    }
    const faster = alone ? ratio(dbos?.p50Ms, sluice?.p50Ms) : ratio(sluice?.perSecond, dbos?.perSecond)
    const reached = ratio(sluice?.perSecond, ceiling?.perSecond)
    return [
      ...[shape.title, show(sluice), show(dbos), show(ceiling)],
      ...[against(faster, alone ? 2 : 10, 'x', 1), against(reached && reached * 100, 50, '%', 0)],
    ]
  })
  return table(['shape', 'Sluice', 'DBOS', 'ceiling', 'against DBOS', 'of the ceiling'], rows)
}

/** The second: what each execution costs. */
export function costTable(shapes: readonly Shape[], results: Results): string {
  const rows = shapes.flatMap((shape) =>
    Object.entries(results[shape.name]!).map(([system, result]) => [
      ...[shape.title, system, result.rows.toFixed(1), result.commits.toFixed(2), (result.walBytes / 1024).toFixed(1)],
      ...[
        result.hot === undefined ? '-' : `${(result.hot * 100).toFixed(0)} %`,
        result.nodeCpuMs.toFixed(2),
        result.serverCpuMs.toFixed(2),
      ],
      ...[result.rounds.map((round) => round.toFixed(0)).join(' ')],
    ]),
  )
  const columns = [
    'shape',
    'system',
    'rows',
    'commits',
    'WAL kB',
    'HOT',
    'node s/1000',
    'postgres s/1000',
    'each round, per second',
  ]
  return table(columns, rows)
}

const ratio = (a: number | undefined, b: number | undefined): number | undefined => (a && b ? a / b : undefined)

function against(value: number | undefined, target: number, unit: string, digits: number): string {
  if (value === undefined) return '-'
  return `${value.toFixed(digits)} ${unit} (${value >= target ? 'reached' : 'missed'}: ${target} ${unit})`
}

function table(columns: readonly string[], rows: readonly string[][]): string {
  const widths = columns.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]!.length)))
  const line = (cells: readonly string[]): string => `| ${cells.map((cell, index) => cell.padEnd(widths[index]!)).join(' | ')} |`
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}
